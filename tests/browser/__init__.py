"""The web page in a real browser: a server whose agents play parts, screenshots, and frame times."""
