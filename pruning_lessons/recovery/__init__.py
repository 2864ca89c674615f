"""Training that brings accuracy back."""
