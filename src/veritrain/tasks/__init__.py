"""What is learned: a task reads as one page."""
