"""The next plan, and what became of it."""
