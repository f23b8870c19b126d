"""Whole messages over a socket, and the end of who is at the other end."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from actwright.isolation.channel import Channel


def never() -> bool:
    return False


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = (Channel(end, never) for end in socket.socketpair())
    yield one, other
    one.close()
    other.close()


def test_messages_arrive_whole_and_in_order_whatever_their_size(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    messages = [b"", b"a", os.urandom(5_000_000), b"last"]
    with ThreadPoolExecutor(1) as thread:  # more than the socket holds
        sent = [thread.submit(one.send, message) for message in messages]
        assert [other.receive() for _ in messages] == messages
        for each in sent:
            each.result()


def test_what_was_sent_before_the_end_is_still_received(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one.send(b"said")
    one.close()
    assert other.receive() == b"said"
    with pytest.raises(EOFError):
        other.receive()
    with pytest.raises(EOFError):
        other.receive()


def test_half_a_message_is_an_end(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    one._socket.sendall(b"\0\0")  # pyright: ignore[reportPrivateUsage]
    one.close()
    with pytest.raises(EOFError):
        other.receive()


def test_a_wake_up_is_seen_by_who_waits_and_by_who_comes_later(ends: tuple[Channel, Channel]) -> None:
    _, other = ends
    other.wake()
    other.wake()
    assert other.receive() is None
    waker = threading.Timer(0.05, other.wake)
    waker.start()
    assert other.receive() is None
    waker.join()


def test_more_wake_ups_than_anybody_can_see_hold_nobody_up(ends: tuple[Channel, Channel]) -> None:
    _, other = ends
    for _ in range(100_000):
        other.wake()
    assert other.receive() is None


def test_where_nothing_comes_in_time_that_is_an_error(ends: tuple[Channel, Channel]) -> None:
    one, other = ends
    with pytest.raises(TimeoutError):
        other.receive(0.01)
    one.send(b"late")
    assert other.receive(0.01) == b"late"


def test_a_death_is_seen_where_somebody_else_keeps_the_socket_open() -> None:
    one, other = socket.socketpair()
    died = threading.Event()
    channel = Channel(other, died.is_set)
    one.sendall(b"\0\0\0\0\0\0\0\1x")
    died.set()
    try:
        assert channel.receive() == b"x"
        with pytest.raises(EOFError):
            channel.receive()
        assert channel.is_over()
    finally:
        channel.close()
        one.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has pidfds")
def test_a_death_is_told_by_a_pidfd() -> None:
    one, other = socket.socketpair()
    child = os.fork()
    if child == 0:
        os._exit(0)
    channel = Channel(other, never, os.pidfd_open(child))
    try:
        with pytest.raises(EOFError):
            channel.receive()
        assert channel.is_over()
    finally:
        channel.close()
        one.close()
        os.waitpid(child, 0)


def test_a_closed_one_may_be_woken_and_closed_again(ends: tuple[Channel, Channel]) -> None:
    one, _ = ends
    one.close()
    one.wake()
    one.close()
    assert one.is_closed
