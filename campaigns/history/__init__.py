"""What is past: months that move to files and back, questions over both, and what is due to one person."""
