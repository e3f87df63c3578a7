"""Intervals, permutation tests and power: numpy and scipy."""
