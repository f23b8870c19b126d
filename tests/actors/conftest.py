"""What the summary of a test run says beside passed and failed."""

from __future__ import annotations

import pytest

HISTORIES = "histories"
"""A test's property: how many histories it played."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties if report.when == "call" else ():
                if name == HISTORIES:
                    terminalreporter.write_line(f"{value} histories were played by {report.nodeid.partition('::')[2]}")
