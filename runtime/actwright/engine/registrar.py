"""Registers the hooks of runs, as another process finds them again should this one die."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from actwright.authoring.registration import Registration
from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from actwright.authoring.hooks import Hook
    from actwright.authoring.registration import Unfindable
    from actwright.engine.live_run import LiveRun

__all__ = ["Registrar"]

logger = logging.getLogger("actwright.engine")


class Registrar:
    """For the runs of one host. Hooks that no other process could find are said once.

    Args:
        on_hook_failure: the host's own, told of each hook that failed for good.
    """

    def __init__(self, on_hook_failure: Hook | None) -> None:
        self._on_hook_failure = on_hook_failure
        self._said: set[Unfindable] = set()

    def registration_of(self, run: LiveRun) -> Registration | None:
        """The hooks of a run; None where it has none, or where nothing would outlive this process."""
        if not (run.has_hooks and run.host.journal.is_durable):
            return None
        registration = Registration.of(run.subject, run.shared_hooks, self._on_hook_failure, current_backend_name())
        for hook in registration.unfindable:
            if hook not in self._said:
                self._said.add(hook)
                logger.warning("%s", hook.advice)
        return registration
