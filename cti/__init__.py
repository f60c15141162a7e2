"""The seats' and supervisors' door: HTTP and WebSocket, log-in, screen-pops, pages."""
