"""History: what happened to each run, in one order, and which hooks are due for it."""
