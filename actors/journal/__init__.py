"""The event log: one actor commits appends, readers keep a cursor, durable before visible."""
