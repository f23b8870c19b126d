"""For those who test their own flows: history in a temporary folder, time that need not pass, and deaths on demand.

    async def test_a_failure_is_told() -> None:
        async with open_runtime() as runtime:
            await run_flow(nightly, return_state=True)
            assert_hook_ran("nightly", "on_failure", times=1, hook=tell)

With pytest, the fixtures of `actwright.testing.plugin` do the same; `docs/testing.md` tells all of it. Each name is
loaded at its first use, so that a test session pays only for what it uses, and nothing here imports pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwright.testing.assertions import assert_hook_ran, assert_no_failed_hooks
    from actwright.testing.harnesses import Harness, harness, open_runtime
    from actwright.testing.killing import kill, kill_sync
    from actwright.testing.recorder import HookRecorder, RecordedHook

__all__ = [
    "Harness",
    "HookRecorder",
    "RecordedHook",
    "assert_hook_ran",
    "assert_no_failed_hooks",
    "harness",
    "kill",
    "kill_sync",
    "open_runtime",
]

_HOMES = {
    "Harness": "harnesses",
    "HookRecorder": "recorder",
    "RecordedHook": "recorder",
    "assert_hook_ran": "assertions",
    "assert_no_failed_hooks": "assertions",
    "harness": "harnesses",
    "kill": "killing",
    "kill_sync": "killing",
    "open_runtime": "harnesses",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
