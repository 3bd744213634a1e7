"""The HTTP API: a Quart-Trio app that maps routes to supervisor messages."""
