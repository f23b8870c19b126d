"""Imported by each interpreter of a sweep before anything else: the program's, and those of replay processes."""

from __future__ import annotations

from tests.recovery.points import put_in

put_in()
