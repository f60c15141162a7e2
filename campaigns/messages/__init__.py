"""Messages beside the calls: which steps a campaign has, what is due, permitted, written, and on record."""
