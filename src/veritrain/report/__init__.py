"""The page a person opens: record and verdict in, one HTML file out."""
