"""Tasks as pure data: events, plans, evidence, and the table of a task's life. No I/O."""
