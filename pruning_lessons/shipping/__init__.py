"""Save, export and serve."""
