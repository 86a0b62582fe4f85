"""Listening on the ports of a process: sockets, TLS, bounded connections with deadlines, and the server itself."""
