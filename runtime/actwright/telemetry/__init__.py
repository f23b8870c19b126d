"""What OpenTelemetry hears of runs and hooks: traces, metrics, and the context that they carry to other processes.

The engine makes a report of each run and of each try of a hook (`reports`), and passes contexts on (`carriers`). Where
nobody listens these do nothing. What stands on OpenTelemetry itself, and loads it, is behind these two: `spans`,
`metrics`, `propagation`. Nothing that goes wrong there decides how a run ends (`harmless`).
"""
