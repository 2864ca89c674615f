"""What lessons need beside the package: exercises, attention views, checks."""
