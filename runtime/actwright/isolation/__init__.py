"""Bodies in processes of their own: what such a process is made of, and what it and its Runtime's say to each other."""
