"""One file for each version of the schema."""

from __future__ import annotations
