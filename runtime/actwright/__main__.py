"""`python -m actwright`: the command line."""

from __future__ import annotations

from actwright.control.cli import main

main()
