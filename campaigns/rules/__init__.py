"""Who may be called, and when: the figures of laws and campaigns, the calendar, the facts, and the one decision."""
