"""The daemon: switch adapter, call and seat machines, routing, journal, command line, composition root."""

__version__ = "0.1.0"
