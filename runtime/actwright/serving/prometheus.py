"""How a service is, as text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actwright.models.health import Health

__all__ = ["CONTENT_TYPE", "metrics_text"]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def metrics_text(health: Health) -> str:
    """The metrics of a service, and of its process. `docs/services.md` lists them."""
    registry = CollectorRegistry()
    registry.register(_Once(health))
    ProcessCollector(registry=registry)
    return generate_latest(registry).decode()


class _Once(Collector):
    """What is known at one moment."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        health = self._health
        yield InfoMetricFamily(
            "actwright_service", "What serves.", {"version": version("actwright"), "takeover": health.takeover.value}
        )
        yield _gauge("ready", "1 while it takes work, 0 while it starts, drains, or has trouble.", health.is_ready)
        yield _gauge("claimed_runs", "Submitted runs that were claimed here and have not ended.", health.claimed)
        if health.limit is not None:
            yield _gauge("claimed_runs_limit", "How many of them there may be.", health.limit)
        if health.waiting is not None:
            yield _gauge("waiting_submissions", "Submissions for it that are due and wait for a place.", health.waiting)
            yield _gauge("waiting_seconds", "For how long the first of them has been due.", health.waiting_seconds)
        yield _gauge("open_runs", "Runs of flows and tasks that have not ended.", health.open_runs)
        yield _gauge("due_hooks", "Hooks that are due or running.", health.due_hooks)
        yield _gauge(
            "loop_lag_seconds", "The longest that a timer waited, in the last minute.", health.loop_lag_seconds
        )
        yield _gauge("journal_lag_seconds", "The longest commit of the last minute.", health.journal_lag_seconds)
        restarts = CounterMetricFamily("actwright_restarts", "How often something of what is served was restarted.")
        restarts.add_metric([], health.restarts)
        yield restarts
        yield _counter("runs_ended", "Runs that have ended.", ("kind", "state"), health.ended_runs)
        yield _counter("hooks_ended", "Hooks that have ended.", ("event", "status"), health.ended_hooks)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(f"actwright_{name}", help, value)


def _counter(name: str, help: str, labels: tuple[str, str], counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"actwright_{name}", help, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric(key.split(" "), count)
    return family
