"""`actwright runs watch`: a run, while it goes on, until it and its hooks are done."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

import typer

from actwright.control.opening import journal_to_change
from actwright.control.output import Format, Output, clean, console, iso_or_none, local_time, one_line, write_json_line

if TYPE_CHECKING:
    from rich.tree import Tree

    from actwright.control.following import News
    from actwright.journal.progress import Progress

__all__ = ["watch"]

_FRAME_SECONDS: Final = 0.25
_CLOCK_SECONDS: Final = 1.0


def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or its name.")],
    output: Output = Format.TABLE,
) -> None:
    """Follow a run until it and its hooks are done, with all that it calls.

    On a terminal it is drawn anew as it changes; elsewhere each change is a line, and with -o json a document a line.
    The exit code is 0 if it ended Completed, and 1 if not.
    """
    with journal_to_change() as database:
        from actwright.control.following import follow
        from actwright.control.runs import one_run
        from actwright.journal.progress import Progress

        with database.reading() as connection:
            progress = Progress(one_run(connection, run).run.id)
        with _view(output) as view:
            for news in follow(database, progress):
                view.show(news, progress)
    if progress.root is None or not progress.root.run.state.is_completed():
        raise typer.Exit(1)


class _View(Protocol):
    """Shows what is new."""

    def __enter__(self) -> _View: ...
    def __exit__(self, *of_error: Any) -> None: ...
    def show(self, news: list[News], progress: Progress) -> None: ...


def _view(output: Format) -> _View:
    if output is Format.JSON:
        return _Documents()
    return _Drawing() if sys.stdout.isatty() else _Lines()


class _Lines:
    """A line for each change, at once: whoever reads a pipe or a log gets them as they come."""

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *of_error: Any) -> None: ...

    def show(self, news: list[News], progress: Progress) -> None:
        for each in news:
            words = " | ".join(filter(None, _words(each, progress)))
            print(f"{local_time(each.at, exact=True)} | {words}", flush=True)


class _Documents(_Lines):
    """The same as JSON, a document a line."""

    def show(self, news: list[News], progress: Progress) -> None:
        for each in news:
            write_json_line(_document(each, progress))


class _Drawing:
    """The run with all that it called, in place: at most four times a second, and once a second while nothing changes
    but the time."""

    def __init__(self) -> None:
        from rich.live import Live

        self._live = Live(console=console(), auto_refresh=False)
        self._drawn_at = 0.0
        self._is_stale = False
        self._dead: set[str] = set()

    def __enter__(self) -> _Drawing:
        self._live.start()
        return self

    def __exit__(self, *of_error: Any) -> None:
        self._live.vertical_overflow = "visible"  # nothing is drawn over it any more
        self._live.stop()

    def show(self, news: list[News], progress: Progress) -> None:
        from actwright.control.following import ProcessChanged, ProcessStatus

        for each in news:
            if isinstance(each, ProcessChanged):
                (self._dead.add if each.status is ProcessStatus.DEAD else self._dead.discard)(each.node.id)
        self._is_stale |= bool(news)
        since = time.monotonic() - self._drawn_at
        if progress.is_over or since >= (_FRAME_SECONDS if self._is_stale else _CLOCK_SECONDS):
            self._live.update(self._tree(progress), refresh=True)
            self._drawn_at, self._is_stale = time.monotonic(), False

    def _tree(self, progress: Progress) -> Tree | str:
        from actwright.control.trees import live_tree

        if progress.root is None:
            return ""
        called = [each for each in progress.runs.values() if each is not progress.root]
        hooks = progress.deliveries.values()
        return live_tree(progress.root, called, hooks, now=datetime.now(UTC), dead=self._dead)


def _words(news: News, progress: Progress) -> tuple[str, ...]:
    """Of whom, what became of it, and why."""
    from actwright.journal.progress import Entered, HookChanged

    match news:
        case Entered(run):
            attempt = f" (attempt {run.run_count})" if run.run_count > 1 and run.state.is_running() else ""
            return one_line(_title(run)), f"{one_line(run.state.name)}{attempt}", one_line(run.state.message or "")
        case HookChanged(found):
            delivery = found.delivery
            attempt = f" (attempt {delivery.attempt})" if delivery.attempt > 1 else ""
            whose = f"{found.run_kind} {found.subject_name} {found.run_name!r}"
            hook = f"hook {delivery.event} {delivery.hook_name} of {whose}"
            return one_line(hook), f"{delivery.status.value}{attempt}", one_line(delivery.error or "")
        case _:
            root = progress.root
            return one_line(_title(root.run) if root else ""), clean(str(news))


def _title(run: Any) -> str:
    from actwright.control.documents import subject_of

    return f"{run.kind} {subject_of(run)} {run.name!r}"


def _document(news: News, progress: Progress) -> dict[str, Any]:
    from actwright.control import documents
    from actwright.journal.progress import Entered, HookChanged

    at = iso_or_none(news.at)
    match news:
        case Entered(run):
            found = progress.runs[run.id]
            return {
                "event": "state",
                "at": at,
                "run": {
                    "id": str(run.id),
                    "kind": run.kind,
                    "subject": documents.subject_of(run),
                    "name": found.run.name,
                    "parent_id": None if run.parent_id is None else str(run.parent_id),
                },
                "state": documents.state_document(run),
            }
        case HookChanged(hook):
            return {"event": "hook", "at": at, "delivery": documents.delivery_document(hook)}
        case _:
            status = {"status": news.status.value, "node_id": news.node.id, "holder_pid": news.holder or None}
            return {"event": "process", "at": at, **status}
