"""A section: a module beside this package with a `Sizes`, a `QUICK` one, and `measures(sizes)`: groups of rows."""

from __future__ import annotations

import gc
import logging
from dataclasses import asdict
from importlib import import_module
from typing import Any

from measuring.table import Row, show

__all__ = ["measure"]


def measure(section: str, quick: bool) -> tuple[list[Row], dict[str, Any]]:
    """The rows of a section, which are printed as they come, and how much was measured for them."""
    # What runs log is kept with their history; that failures are shown on stderr too is for scripts without logging.
    logging.getLogger("actwright").addHandler(logging.NullHandler())
    module = import_module(section)
    sizes = module.QUICK if quick else module.Sizes()
    if quick:
        gc.freeze()  # a fourth of the time goes into collections that look through what was imported
    rows: list[Row] = []
    for measured in module.measures(sizes):
        found = list(measured)
        show(found)
        rows += found
    return rows, asdict(sizes)
