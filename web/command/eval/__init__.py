"""`terzetto eval`."""
