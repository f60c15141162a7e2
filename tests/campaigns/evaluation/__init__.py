"""What came of calls: results that come in, the intervals, and what they say of campaigns."""
