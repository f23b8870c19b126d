"""The actors that run flows, tasks and hooks."""
