"""Scores in numpy, each with its exact chance level."""
