"""Flows that are served: started for others, and at certain times."""
