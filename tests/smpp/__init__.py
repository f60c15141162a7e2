"""Texts by SMPP, to an SMSC of another make than the client."""
