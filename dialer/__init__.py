"""The daemon: switch adapter, call and seat machines, routing, journal, command line, composition root."""
