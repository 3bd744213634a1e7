"""`terzetto run`: the command, the view of a task, and the screens that show it."""
