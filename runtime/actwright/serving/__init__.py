"""Services: processes that stay, and run what others submit.

serve(nightly, Served(consumer, keep="permanent"), limit=10)      # until SIGTERM; `await serve(...)` in async code

async with Service(nightly):                                      # in an application that has a life of its own
    ...
"""

from __future__ import annotations

from actwright.models.health import Health
from actwright.serving.serve import serve
from actwright.serving.service import Served, Service

__all__ = ["Health", "Served", "Service", "serve"]
