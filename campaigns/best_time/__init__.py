"""When customers are best called: what finished calls say of each hour, the order that follows, and what it gained."""
