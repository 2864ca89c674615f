"""Importance, selection, surgery and repair; layers, weights, vocabulary."""
