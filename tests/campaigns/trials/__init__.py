"""Scripts tried side by side."""
