"""Scripts and offers tried side by side: who gets which, and what came of each."""
