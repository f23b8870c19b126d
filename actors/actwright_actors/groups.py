"""Named groups of actors: who belongs to one, and who wants to know. After OTP's pg."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from actwright_actors._cell import cell_of
from actwright_actors._messages import Notice
from actwright_actors.ref import ActorRef, Down

__all__ = ["Groups", "MemberJoined", "MemberLeft"]


@dataclass(frozen=True, slots=True)
class MemberJoined(Notice):
    """Sent to each watcher of `group`: `ref` is a member from now on."""

    group: Hashable
    ref: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class MemberLeft(Notice):
    """Sent to each watcher of `group`: `ref` is no member any more; it left, or is dead for good."""

    group: Hashable
    ref: ActorRef[Any]


class Groups:
    """The process groups of a system: `system.groups`. Only in the loop's thread; WrongThread elsewhere.

    A group is there while it has members, and is known by any hashable name. An actor may be in many groups. A member
    that is dead for good has left before anybody handles its Down; one that its supervisor restarts stays a member.

    Unlike in OTP's pg, joining twice is joining once: there is one leave for it.
    """

    def __init__(self, require_loop_thread: Callable[[str], None]) -> None:
        self._require_loop_thread = require_loop_thread
        self._members = _Pairs()
        self._watchers = _Pairs()

    def join(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """Make `ref` a member, after the others. Says whether it is one now: a dead actor joins nothing."""
        self._check_thread("join", ref)
        if not ref.is_alive:
            return False
        if self._members.add(group, ref):
            self._forget_at_death(ref)
            self._announce(group, MemberJoined(group, ref))
        return True

    def leave(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """Take `join` back. False: it was no member."""
        self._check_thread("leave", ref)
        if not self._members.remove(group, ref):
            return False
        self._announce(group, MemberLeft(group, ref))
        return True

    def members(self, group: Hashable) -> list[ActorRef[Any]]:
        """Who belongs to it, in the order of joining; nobody, if there is no such group."""
        self._require_loop_thread("Groups.members")
        return self._members.refs(group)

    def names(self) -> list[Hashable]:
        """The groups that have members, in the order in which they came to be."""
        self._require_loop_thread("Groups.names")
        return self._members.groups()

    def monitor(self, group: Hashable, watcher: ActorRef[Any]) -> list[ActorRef[Any]]:
        """Have `watcher` get MemberJoined and MemberLeft in its system lane, and return the members so far.

        Nothing comes between: each later change, and none of the earlier ones, is told. The group need not have a
        member yet. Watching twice is watching once; the watcher's death ends it.
        """
        self._check_thread("monitor", watcher)
        if self._watchers.add(group, watcher):
            self._forget_at_death(watcher)  # at once, if it is dead
        return self._members.refs(group)

    def demonitor(self, group: Hashable, watcher: ActorRef[Any]) -> None:
        """Take `monitor` back. What is already in the watcher's mailbox stays there."""
        self._check_thread("demonitor", watcher)
        self._watchers.remove(group, watcher)

    def _announce(self, group: Hashable, change: MemberJoined | MemberLeft) -> None:
        for watcher in self._watchers.refs(group):
            watcher.signal(change)

    def _forget_at_death(self, ref: ActorRef[Any]) -> None:
        # One key for all its groups, never taken back: an actor costs one entry however often it joins and leaves.
        cell_of(ref).watch(self, self._forget)

    def _forget(self, down: Down) -> None:
        for group in self._watchers.groups_of(down.ref):
            self._watchers.remove(group, down.ref)
        for group in self._members.groups_of(down.ref):
            self._members.remove(group, down.ref)
            self._announce(group, MemberLeft(group, down.ref))

    def _check_thread(self, method: str, ref: ActorRef[Any]) -> None:
        # The actor may be another system's, with a loop in another thread.
        for require_loop_thread in (self._require_loop_thread, cell_of(ref).kernel.require_loop_thread):
            require_loop_thread(f"Groups.{method}")


class _Pairs:
    """Which actor belongs to which group; looked up from both sides, so that no death has to search all groups."""

    def __init__(self) -> None:
        self._refs: dict[Hashable, dict[ActorRef[Any], None]] = {}
        self._groups: dict[ActorRef[Any], dict[Hashable, None]] = {}

    def add(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """False: it is there already."""
        refs = self._refs.setdefault(group, {})
        if ref in refs:
            return False
        refs[ref] = None
        self._groups.setdefault(ref, {})[group] = None
        return True

    def remove(self, group: Hashable, ref: ActorRef[Any]) -> bool:
        """False: it was not there."""
        refs = self._refs.get(group, {})
        if ref not in refs:
            return False
        groups = self._groups[ref]
        del refs[ref], groups[group]
        if not refs:
            del self._refs[group]
        if not groups:
            del self._groups[ref]
        return True

    def refs(self, group: Hashable) -> list[ActorRef[Any]]:
        return list(self._refs.get(group, ()))

    def groups_of(self, ref: ActorRef[Any]) -> list[Hashable]:
        return list(self._groups.get(ref, ()))

    def groups(self) -> list[Hashable]:
        return list(self._refs)
