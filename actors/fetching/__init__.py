"""Web pages as sources: fetched with limits, and only from where anybody may fetch.

Rule: who names a URL decides what is fetched, never from where: addresses that only this machine or
its network can reach are refused, whatever name, redirect or answer of a name server leads to them.
"""
