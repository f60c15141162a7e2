"""Who is called, when that is allowed, and what came of it."""
