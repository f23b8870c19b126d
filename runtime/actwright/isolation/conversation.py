"""The body's side of the conversation with its Runtime's process: to ask, to tell, and to hear."""

from __future__ import annotations

import itertools
import pickle
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from actwright.authoring.futures import Handle
from actwright.authoring.waiting import block_on
from actwright.exceptions import ActwrightError, InternalError, NotPicklable, RuntimeClosed
from actwright.isolation.crossing import Crossing
from actwright.isolation.messages import Answer, Ask, Ended, Forget, Launch, Logged, Stop, Waits, WaitsNoMore
from actwright.isolation.remote import RemoteHandle
from actwright.isolation.termination import end_with_group

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from uuid import UUID

    from actwright.isolation.channel import Channel
    from actwright.isolation.messages import BodyOver
    from actwright.isolation.termination import Termination

__all__ = ["Conversation"]

M = TypeVar("M")


class Conversation:
    """Any thread may ask and tell. One daemon thread hears; when the other process dies, it ends this one.

    Attributes:
        crossing: how objects go to the other process.
        termination: how this process is told to end.
        hears_in: the thread that hears.
    """

    def __init__(self, channel: Channel, termination: Termination) -> None:
        self._channel = channel
        self.termination = termination
        self.crossing = Crossing(self._handle_of, self._id_of, hooks_stay=False)
        self._sending = threading.RLock()
        self._numbers = itertools.count()
        self._asked: dict[int, Future[Any]] = {}
        self._handles: dict[UUID, RemoteHandle] = {}
        self._listeners: dict[type, Callable[[Any], object]] = {}
        self._thread = threading.Thread(target=self._hear, name="actwright-conversation", daemon=True)
        self.is_over = False

    @property
    def hears_in(self) -> int:
        return self._thread.ident or 0

    def begin(self) -> None:
        """Hear from now on."""
        self._thread.start()

    def listen(self, kind: type[M], fn: Callable[[M], object]) -> None:
        """Have `fn` called, in the thread that hears, with each message of that kind."""
        self._listeners[kind] = fn

    def tell(self, message: object) -> None:
        """Say something that gets no answer. What cannot be said any more is not missed: this process ends."""
        with self.termination.ours(), self._sending:
            if not self.is_over:
                with suppress(OSError):
                    self._channel.send(pickle.dumps(message))

    def log(self, attributes: dict[str, Any]) -> None:
        """Hand on the attributes of a record of `logging`."""
        if threading.get_ident() == self.hears_in:  # it may load just now, what whoever sends waits for
            threading.Thread(target=self.log, args=[attributes], daemon=True).start()
            return
        with self.termination.ours(), self._sending:  # what is dumped first is sent first
            self.tell(Logged(self.crossing.dumps(attributes)))

    def leave_to_parent(self) -> None:
        """In a forked child: what was begun is the other process's, and goes on there."""
        self._sending = threading.RLock()  # a thread of the parent's may have held it
        self.crossing.leave_to_parent()
        self.is_over = True
        for run in self._handles.values():
            run.leave_to_parent()
        self._channel.close()

    def close_with(self, last: BodyOver) -> None:
        """Say the last thing that there is to say; nobody listens after that."""
        with self.termination.ours(), self._sending:
            self.tell(last)
            self.is_over = True

    def ask(self, request: Any) -> Any:
        """Ask, and wait for what is answered: at once, by whoever hears there. Raises what that raised.

        Raises:
            NotPicklable: the request cannot be sent.
            RuntimeClosed: the body has ended; what it has left behind asks.
        """
        return self.answer_to(request, block=True).result()

    def answer_to(self, request: Any, *, block: bool = False) -> Future[Any]:
        """The same without waiting."""
        answer: Future[Any] = Future()
        with self.termination.ours():
            if threading.get_ident() == self.hears_in:
                raise ActwrightError(
                    "What is loaded to read an answer to the body asked for something itself (a Variable, a Block, a "
                    "run), which could only wait for ever. Import its module in the body first."
                )
            if self.is_over:
                raise RuntimeClosed("The body that this process is for has ended: nothing can be started any more.")
            number = next(self._numbers)
            self._asked[number] = answer
            with self._sending:
                try:
                    self.tell(Ask(number, self.crossing.dumps(request)))
                except Exception as error:
                    del self._asked[number]
                    raise NotPicklable.of(_what(request), error) from error
            if block:
                block_on(answer)
        return answer

    @contextmanager
    def given_back(self) -> Generator[None]:
        """Around a wait of the body: the place that it takes in its Runtime is free meanwhile."""
        self.tell(Waits())
        try:
            yield
        finally:
            self.tell(WaitsNoMore())

    def remote(self, run_id: UUID) -> RemoteHandle:
        """A run that the body has started, or was given the future of."""
        return self._handles.setdefault(run_id, RemoteHandle(self, run_id))

    def forget(self, run_id: UUID) -> None:
        """A run that was called, and has ended: nobody has a future of it."""
        self._handles.pop(run_id, None)
        self.tell(Forget(run_id))

    def _handle_of(self, run_id: UUID) -> Handle[Any]:
        return Handle(self.remote(run_id))

    def _id_of(self, handle: Handle[Any]) -> UUID:
        run = handle._run  # pyright: ignore[reportPrivateUsage]
        if not isinstance(run, RemoteHandle):
            raise TypeError("it is the future of a run of another Runtime")
        return run.run_id

    def _hear(self) -> None:
        try:
            while True:
                data = self._channel.receive()
                if data is not None:
                    self._heard(pickle.loads(data))
        except EOFError:
            end_with_group()

    def _heard(self, message: object) -> None:
        match message:
            case Answer(number, value, is_error):
                self._settle(self._asked.pop(number), value, is_error)
            case Ended(run_id, value, is_error):
                self._settle(self.remote(run_id).future, value, is_error)
            case Stop():
                self.termination.insist()
            case _ if listener := self._listeners.get(type(message)):
                listener(message)
            case _:
                raise InternalError(f"It was not expected to hear {message!r}.")

    def _settle(self, future: Future[Any], value: bytes, is_error: bool) -> None:
        try:
            loaded = self.crossing.loads(value)
        except BaseException as error:  # a module that exits, say: nobody else would hear any more
            is_error, loaded = True, NotPicklable.of("The answer to the body", error)
        if is_error:
            future.set_exception(loaded)
        else:
            future.set_result(loaded)


def _what(request: object) -> str:
    if isinstance(request, Launch):
        subject = request.call.subject
        return f"The call of {subject.kind} {subject.name!r}"
    return f"What a body asks for ({type(request).__name__})"
