"""Data, scores, sizes and times."""
