"""Foreign training artefacts, all turned into the same rows."""
