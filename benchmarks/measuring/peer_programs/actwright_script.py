"""Actwright: a script with one empty flow, with its default settings. Where history is, the environment says."""

from __future__ import annotations

from actwright import flow


@flow
def empty() -> None: ...


if __name__ == "__main__":
    empty()
