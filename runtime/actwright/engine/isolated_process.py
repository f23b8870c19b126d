"""Running a body in an OS process of its own: whatever becomes of that, nobody else is harmed."""

from __future__ import annotations

import pickle
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from actwright.engine.body_process import BodyProcess, how_it_ended
from actwright.exceptions import CancelledRun, CrashedRun, NotPicklable
from actwright.isolation.logs import levels_here
from actwright.isolation.messages import BodyOver, Setup
from actwright.models.outcomes import Crash, Outcome, Raised, Returned, outcome_of_error
from actwright.nodes.journal import claim_of_body
from actwright.nodes.program import Program
from actwright_actors.backends import current_backend_name

if TYPE_CHECKING:
    from pathlib import Path

    from actwright.engine.bodies import Attempt, Execution
    from actwright.engine.body_service import BodyService
    from actwright_actors import ActorContext
    from actwright_actors.backends import BackendName

__all__ = ["IsolatedProcess"]

_LAST_SECONDS: Final = 5.0
"""How long a process may take to end once its body has: for what runs at exit, and threads that are no daemons."""

_DYING_SECONDS: Final = 1.0
"""How long a process that has closed its channel may take to die; one that has not has closed it by itself."""


class IsolatedProcess:
    """A body: in a process that is started for it. It takes the place of a worker thread, which serves it."""

    def start(self, attempt: Attempt, actor: ActorContext) -> Execution:
        return _ProcessExecution(attempt)


class _ProcessExecution:
    """One body, its process, and the thread that serves it.

    Told to stop, it gets SIGTERM. Killed it is by who told it, when its grace is over; or by its own thread, where
    nobody counts that any more, since its Runtime is broken or closed.
    """

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._run = attempt.run
        self._threads = attempt.run.host.worker_threads
        backend = current_backend_name()
        assert backend is not None  # it is started in the loop of its run's actor
        self._backend: BackendName = backend
        self._service: BodyService | None = None
        self._mutex = threading.Lock()
        self._process: BodyProcess | None = None
        self._told_at: float | None = None
        self._was_killed = self._was_told_to_kill = False
        with self._mutex:  # its thread begins by taking it, and so finds this
            self._job = self._threads.submit(self._live)

    def stop(self) -> bool:
        if self._job.withdraw():
            return True
        with self._mutex:
            self._told_at = self._told_at or time.monotonic()
            process, service = self._process, self._service
        if process is not None and service is not None:
            process.terminate()
            service.say_stop()
        return False

    def kill(self) -> bool:
        with self._mutex:
            process, is_first = self._process, not self._was_told_to_kill
            self._was_killed = self._was_told_to_kill = True
        if process is not None:
            process.kill()
        return is_first

    def abandon(self) -> None:
        self.kill()
        self._job.abandon()

    # In its thread

    def _live(self) -> None:
        try:
            with self._mutex:
                is_told = self._told_at is not None
            outcome = Crash(self._stopped()) if is_told else self._outcome()
        except BaseException as error:
            outcome = outcome_of_error(error)
        self._attempt.ended(outcome)

    def _outcome(self) -> Outcome:
        from actwright.engine.body_service import BodyService  # in this thread: it takes long, and a loop must not wait

        token = uuid4().hex
        claim = claim_of_body(self._run.host.journal, token)
        service = BodyService(self._attempt, self._note_wait)
        messages = self._setup(claim), service.work()
        try:
            process = BodyProcess(token, self._run.title)
        except OSError as error:
            return self._crash(f"Its process could not be started: {error}")
        try:
            over = self._converse(process, service, *messages)
        finally:
            code = process.end()
            if claim is not None:
                with suppress(OSError):  # whoever opens the journal next removes it
                    claim.unlink()
        if over is not None and over.how != "stopped":
            return self._told(over, service, process.pid)
        if self._told_at is not None:
            return Crash(self._stopped())
        if over is not None:
            return self._crash(f"Its process (pid {process.pid}) was told to end (SIGTERM), and its body has stopped.")
        return self._crash(how_it_ended(process.pid, code, was_killed=self._was_killed))

    def _setup(self, claim: Path | None) -> bytes:
        program = Program.of_this_process()
        path = None if claim is None else str(claim)
        return pickle.dumps(Setup(program.argv, program.sys_path, self._backend, path, levels_here()))

    def _converse(self, process: BodyProcess, service: BodyService, *first: bytes) -> BodyOver | None:
        """How the body ended; None where its process did without telling."""
        with self._mutex:
            self._process, self._service = process, service
        if self._told_at is not None:
            process.terminate()
            service.say_stop()
        if self._was_killed:
            process.kill()
        over: BodyOver | None = None
        try:
            for message in first:
                process.channel.send(message)
            over = service.serve(process.channel, self._patience)
            service.serve(process.channel, lambda: _LAST_SECONDS)
        except TimeoutError:
            self._end(process)
        except (EOFError, OSError):
            if not process.dies(_DYING_SECONDS):
                self._end(process)
        except BaseException:  # a bug of ours: nobody would answer that body any more
            self._end(process)
            raise
        finally:
            service.free_slots()
        return over

    def _end(self, process: BodyProcess) -> None:
        self._was_killed = True
        process.kill()

    def _patience(self) -> float | None:
        """How long its process may go on, when it was told to stop: longer than whoever counts its grace lets it."""
        if self._told_at is None:
            return None
        grace = self._run.host.options.cancel_grace_seconds + _LAST_SECONDS
        return max(0.0, self._told_at + grace - time.monotonic())

    def _told(self, over: BodyOver, service: BodyService, pid: int) -> Outcome:
        """What the body has told of its end."""
        if over.how == "returned":
            try:
                return Returned(service.loaded(over.value or b""))
            except Exception as why:
                return Raised(NotPicklable.of("What the body returned arrived, and", why))
        error = self._raised(over, service)
        if over.traceback:
            error.add_note(f"In its own process (pid {pid}):\n{over.traceback}")
        if over.how == "crashed" and isinstance(error, NotPicklable):
            return Crash(error, f"The body was cut short by {over.said}")
        return outcome_of_error(error)

    def _raised(self, over: BodyOver, service: BodyService) -> BaseException:
        why: BaseException | str = over.why
        try:
            if over.value is not None:
                error: BaseException = service.loaded(over.value)
                return error
        except Exception as failed:  # an exception whose class wants other arguments than it hands on, say
            why = failed
        return NotPicklable.of(
            f"The exception that the body raised, {over.said!r},",
            why,
            "Have its class hand plain arguments on to Exception.__init__, or raise another one.",
        )

    def _stopped(self) -> CancelledRun:
        return CancelledRun(f"{self._run.title}: its body was stopped.", self._run.snapshot.id)

    def _crash(self, message: str) -> Crash:
        return Crash(CrashedRun(message, self._run.snapshot.id), message)

    def _note_wait(self, begins: bool) -> None:
        (self._threads.give_back if begins else self._threads.regain)(self._job)
