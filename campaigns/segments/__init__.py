"""Target selection: which customers are worth calling, said in a small language, and whom of them a campaign takes."""
