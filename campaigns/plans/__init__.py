"""From what calls were worth to the next campaign, and what it came to beside what was expected."""
