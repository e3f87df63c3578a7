"""From files on disk to samples: one on-disk format per file."""
