"""The mailbox of a run in the process of its body: what it asks the other process, and what it hears meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from actwright.isolation.crossing import Sealed
from actwright.isolation.mailbox import RemoteMailbox
from actwright.isolation.messages import ClaimMessage, MessageCame, MessagesAfter


class Elsewhere:
    """Stands for the conversation: before it answers, another message comes, which the thread that hears tells of."""

    def __init__(self) -> None:
        self.hears: Callable[[Any], object] = lambda _: None
        self.claimed: list[int] = []

    def listen(self, kind: type[object], hears: Callable[[Any], object]) -> None:
        self.hears = hears

    def tell(self, message: object) -> None: ...

    def ask(self, request: object) -> Any:
        hearing = threading.Thread(target=self.hears, args=(MessageCame(),), daemon=True)
        hearing.start()
        hearing.join(5.0)
        assert not hearing.is_alive(), "the answer could never come: whoever hears it waits for who asks"
        match request:
            case MessagesAfter(number):
                return (2, [(0, Sealed("first")), (1, Sealed(2))]) if number == 0 else (number, [])
            case ClaimMessage(number):
                self.claimed.append(number)
                return True
            case _:
                raise AssertionError(f"nobody expected {request!r}")


def a_number(message: object) -> tuple[Any, ...]:
    return (message,) if isinstance(message, int) else ()


def test_what_comes_while_the_body_looks_does_not_keep_the_answer_from_it() -> None:
    elsewhere, woken = Elsewhere(), list[str]()
    mailbox = RemoteMailbox(elsewhere)  # type: ignore[arg-type]
    with mailbox.waking(lambda: woken.append("woken")):
        assert mailbox.take(a_number) == (2,)
    assert elsewhere.claimed == [1]
    assert woken
