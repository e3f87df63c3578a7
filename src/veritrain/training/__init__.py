"""The loop, its promises, and the probes that make evidence."""
