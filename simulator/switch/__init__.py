"""The virtual switch: what Asterisk 22 does on its manager interface, without any telephony under it."""
