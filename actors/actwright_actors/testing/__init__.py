"""A test kit: a clock that stands still, an actor that records, one that a test drives by hand, a look for lost mail.

With a ManualClock every timer, ask deadline and back-off of a system moves only when the test says so.
"""

from __future__ import annotations

from actwright_actors.testing.dead_letters import assert_no_dead_letters
from actwright_actors.testing.harness import ActorHarness
from actwright_actors.testing.manual_clock import ManualClock
from actwright_actors.testing.pending_answer import PendingAnswer
from actwright_actors.testing.probe import Probe
from actwright_actors.testing.recorded_task import RecordedTask

__all__ = ["ActorHarness", "ManualClock", "PendingAnswer", "Probe", "RecordedTask", "assert_no_dead_letters"]
