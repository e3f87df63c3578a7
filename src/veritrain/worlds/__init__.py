"""Small made worlds with known answers, written in real formats."""
