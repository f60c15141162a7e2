"""Segments: the language, whom it fits, and whom campaigns take."""
