"""Veritrain: did your model learn, or does it only look that way?"""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
