"""Runs of tasks: the supervisor, live tasks, and one run as a story."""
