"""What runs when a node has died: another process goes on as that node, settles its runs and runs its hooks."""
