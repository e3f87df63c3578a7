"""Probes spend compute to make evidence; they never judge it."""
