"""The process of one body: it is started for it, runs it, says how it ended, and ends.

`python -c ... SOCKET LIFELINE PIDFD TITLE`, as `nodes.program` makes it: the socket is the only descriptor that comes
along, with two that tell of the death of the process that started this one: a pipe, and where there is such a thing
(else -1) a pidfd. The title is for people who look at processes.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from typing import TYPE_CHECKING

from actwright.authoring.import_paths import imported
from actwright.authoring.replay_guard import loading_for_body
from actwright.exceptions import NotPicklable
from actwright.isolation.body import body_over, run_body
from actwright.isolation.channel import Channel
from actwright.isolation.conversation import Conversation
from actwright.isolation.logs import log_there
from actwright.isolation.termination import Termination, end_with, end_with_group
from actwright.models.outcomes import Raised, described
from actwright.nodes.bodies import claim

if TYPE_CHECKING:
    from actwright.isolation.messages import Setup, Work

__all__ = ["main"]


def main() -> None:
    """Run the body that the process at the other end of the socket has."""
    termination = Termination()
    termination.install()
    channel = _channel(*map(int, sys.argv[1:4]))
    try:
        setup: Setup = pickle.loads(_received(channel))
        payload = _received(channel)
    except EOFError:
        return end_with_group()
    _settle_in(setup)
    if channel.is_over():  # after the claim: who looks for what a dead process left has seen it, or we see the death
        return end_with_group()
    conversation = Conversation(channel, termination)
    conversation.begin()
    log_there(conversation, setup.levels)
    try:
        with loading_for_body():
            work: Work = conversation.crossing.loads(payload, imported)
    except BaseException as error:  # whatever the modules raise that are imported for it
        over = body_over(Raised(_not_loaded(error)), conversation.crossing.dumps)
    else:
        outcome = run_body(conversation, work, setup.backend)
        if conversation.is_over:
            return
        over = body_over(outcome, conversation.crossing.dumps)
    conversation.close_with(over)


def _channel(descriptor: int, lifeline: int, pidfd: int) -> Channel:
    for each in (descriptor, lifeline, pidfd):
        if each >= 0:
            os.set_inheritable(each, False)
    end_with(lifeline)
    parent = os.getppid()
    return Channel(socket.socket(fileno=descriptor), lambda: os.getppid() != parent, pidfd if pidfd >= 0 else None)


def _received(channel: Channel) -> bytes:
    while (data := channel.receive()) is None:
        pass
    return data


def _not_loaded(why: BaseException) -> NotPicklable:
    error = NotPicklable(
        f"The body could not be loaded in its own process: {described(why)}. What it and its arguments need must be "
        "importable there, or be picklable by value."
    )
    error.__cause__ = why
    return error


def _settle_in(setup: Setup) -> None:
    """Be as the program is, where that matters to what is loaded; and say that this process is here."""
    sys.argv[:] = setup.argv
    sys.path[:] = setup.sys_path
    if setup.claim is not None:
        claim(setup.claim)
