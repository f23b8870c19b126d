"""What the health endpoint answers. Pure: from a path, and how the service is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actwright.models.health import Health

__all__ = ["PATHS", "Page", "page"]

_JSON: Final = "application/json"

PATHS: Final = ("/livez", "/readyz", "/status", "/metrics")


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: HTTP's status code, the type of the body, and that."""

    status: int
    content_type: str
    body: str


def page(path: str, health: Health) -> Page:
    """The page at a path.

    /livez: 200, always: the event loop answers. /readyz: 200 while the service takes work, else 503. /status: all that
    the service tells of itself, as JSON. /metrics: the same as text for Prometheus.
    """
    match path:
        case "/livez":
            return _verdict(200, health)
        case "/readyz":
            return _verdict(200 if health.is_ready else 503, health)
        case "/status":
            return Page(200, _JSON, health.model_dump_json())
        case "/metrics":
            from actwright.serving.prometheus import CONTENT_TYPE, metrics_text  # only who scrapes needs it

            return Page(200, CONTENT_TYPE, metrics_text(health))
        case _:
            return Page(404, "text/plain", f"There are {', '.join(PATHS)}.\n")


def _verdict(status: int, health: Health) -> Page:
    said: dict[str, Any] = {"status": health.phase.value, "trouble": list(health.trouble)}
    return Page(status, _JSON, f"{json.dumps(said)}\n")
