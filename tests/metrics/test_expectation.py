"""An expectation carries its error."""

from __future__ import annotations

from veritrain.metrics.expectation import Expected


def test_it_unpacks_into_value_and_error():
    value, error = Expected(0.25, 0.0)
    assert (value, error) == (0.25, 0.0) and Expected(None, None).value is None
