"""The document library: from bytes to passages that can be searched and cited.

Rule: this file imports nothing, so that the child process that parses documents starts fast.
"""
