"""The live view of a run: tails its record, on a terminal or as plain lines, and never writes into its folder."""
