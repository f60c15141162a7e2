"""How many calls to place now, and why. Pure: no I/O, no clock, no database."""
