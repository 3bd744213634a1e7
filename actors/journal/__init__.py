"""The event log: appends meet in one actor, readers keep a cursor, and a commit comes first."""
