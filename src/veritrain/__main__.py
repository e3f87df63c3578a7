"""``python -m veritrain``."""

from veritrain.cli import entry

entry()
