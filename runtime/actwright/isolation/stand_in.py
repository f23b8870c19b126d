"""What stands in for the engine in the process of a body: each call goes to the Runtime's process, and runs there."""

from __future__ import annotations

from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, cast

from actwright.authoring.context import current
from actwright.authoring.futures import Handle
from actwright.authoring.waiting import blocking, event_of
from actwright.exceptions import RuntimeClosed
from actwright.isolation.messages import Launch, Stored
from actwright.isolation.variables import portable
from actwright.telemetry.carriers import context_to_carry
from actwright_actors import wait_through

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from contextvars import Context

    from actwright.authoring.entry import Call
    from actwright.isolation.conversation import Conversation
    from actwright.isolation.messages import Variables
    from actwright.isolation.remote import RemoteHandle
    from actwright.models.slots import Claim, SlotRow

__all__ = ["StandIn"]


class StandIn:
    """An `EngineEntry`.

    Args:
        conversation: with the Runtime's process.
        began_with: the context that the body began with.
    """

    def __init__(self, conversation: Conversation, began_with: Context) -> None:
        self._conversation = conversation
        self._began_with = began_with

    def call(self, call: Call) -> Any:
        """Start a run, and block this thread until it is done. A body that is told to stop meanwhile is woken."""
        run = self._launch(call)
        Handle(run).wait()
        return self._outcome(run, call)

    async def call_async(self, call: Call) -> Any:
        """The same in async code. Cancelled, it cancels the run, waits for that to end, and re-raises."""
        run = self._launch(call)
        with blocking():
            await wait_through(event_of(run.future), on_cancel=lambda: run.cancel("its caller was cancelled."))
        return self._outcome(run, call)

    def submit(self, call: Call) -> Handle[Any]:
        """Start a run."""
        return Handle(self._launch(call))

    def store(self) -> _Store:
        """Where the Runtime's process keeps variables and blocks."""
        return _Store(self._conversation)

    async def store_async(self) -> _Store:
        return self.store()

    def _outcome(self, run: RemoteHandle, call: Call) -> Any:
        state = run.future.result()
        self._conversation.forget(run.run_id)
        return state if call.return_state else state.result()

    def _launch(self, call: Call) -> RemoteHandle:
        context = current()
        if context is not None:
            context.run.raise_if_stopped(context)
        run_id = self._conversation.ask(Launch(call, self._changed_variables(), context_to_carry()))
        return self._conversation.remote(run_id)

    def _changed_variables(self) -> Variables:
        now, before = copy_context(), self._began_with
        changed = [(variable, value) for variable, value in now.items() if before.get(variable, now) is not value]
        return portable(changed, self._conversation.crossing.can)


class _Store:
    """A `Store`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def own_key(self) -> bytes | None:
        return cast("bytes | None", self._ask("own_key"))

    def variable(self, name: str) -> Any:
        return self._ask("variable", name)

    def set_variable(self, name: str, value: Any, *, overwrite: bool) -> None:
        self._ask("set_variable", name, value, overwrite=overwrite)

    def unset_variable(self, name: str) -> bool:
        return bool(self._ask("unset_variable", name))

    def block(self, slug: str, name: str) -> bytes:
        return cast("bytes", self._ask("block", slug, name))

    def block_names(self) -> Sequence[tuple[str, str]]:
        return cast("Sequence[tuple[str, str]]", self._ask("block_names"))

    def set_block(self, slug: str, name: str, document: str, *, overwrite: bool) -> None:
        self._ask("set_block", slug, name, document, overwrite=overwrite)

    def unset_block(self, slug: str, name: str) -> bool:
        return bool(self._ask("unset_block", slug, name))

    def ask_slots(self, claim: Claim) -> Future[None]:
        return self._conversation.answer_to(Stored("ask_slots", (claim,), {}))

    def free_slots(self, claim_id: str) -> None:
        with suppress(RuntimeClosed):  # of what the body has left behind; its process is over, and that frees them
            self._conversation.answer_to(Stored("free_slots", (claim_id,), {}))

    def give_up_slots(self, claim_id: str) -> Future[list[SlotRow] | None]:
        return self._conversation.answer_to(Stored("give_up_slots", (claim_id,), {}))

    def tag_limits(self) -> dict[str, int]:
        return cast("dict[str, int]", self._ask("tag_limits"))

    def set_tag_limit(self, tag: str, slots: int) -> None:
        self._ask("set_tag_limit", tag, slots)

    def unset_tag_limit(self, tag: str) -> bool:
        return bool(self._ask("unset_tag_limit", tag))

    def _ask(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._conversation.ask(Stored(method, args, kwargs))
