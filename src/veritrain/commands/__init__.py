"""What each command line command does, one file per group of commands."""
