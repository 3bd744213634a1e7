"""What is damaged in a data folder, and setting it aside: `terzetto doctor`.

Rule: what is examined is a private copy, so that a server that uses the folder is not disturbed.
"""
