"""A question to whoever sits at the terminal."""

from __future__ import annotations

import sys

import typer

from actwright.control.output import say

__all__ = ["ask"]


def ask(question: str) -> None:
    """Go on if the answer is yes; else end the command with 1. Asked here: typer's own question makes a no of a Ctrl-C.

    Args:
        question: "Delete 3 runs?"
    """
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("Nothing was done.")
        raise typer.Exit(1)
