"""Web pages as sources, fetched within limits and from public addresses only.

Rule: an address that only this machine or its network can reach is refused, whatever URL, redirect
or answer of a name server leads to it (no server-side request forgery).
"""
