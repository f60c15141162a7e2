"""The laws that pacing is judged with: other dialers', as far as they are known, and what foresight would reach."""
