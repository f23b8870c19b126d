"""What runs when a node has died: its process is continued by another one, which settles its runs and runs its hooks."""
