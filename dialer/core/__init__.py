"""The engine's core, sans-I/O: call and seat machines, routing, timers. Values and `now` in, effects out."""
