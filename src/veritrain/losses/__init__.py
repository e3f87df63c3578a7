"""Losses, per sample and unreduced."""
