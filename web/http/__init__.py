"""The HTTP/1.1 server on h11 and Trio. Imports nothing else of `web`."""
