"""The web page: static files for a browser, and the routes that serve them.

Rule: no build step, and no request to another host. What the page shows it gets from the API, with
the key of its user; the server knows nothing of the page but its files.
"""
