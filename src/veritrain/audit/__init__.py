"""Checks and the verdict: evidence in, findings out, no torch."""
