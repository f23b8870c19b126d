"""What an author writes: flows, tasks, their options and hooks, tags, annotations. Knows `models`; never the engine."""
