"""`terzetto run`."""
