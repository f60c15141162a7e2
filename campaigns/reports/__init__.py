"""Reports: counts by the half hour, kept up to date beside the calls, and the questions that are asked of them."""
