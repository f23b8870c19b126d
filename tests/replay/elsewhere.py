"""Hooks stored by one fresh interpreter, and loaded by another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

__all__ = ["Found", "How", "load_elsewhere", "store_in"]

WATCHDOG_SECONDS = 60

# A module beside the program: `keep(name=hook, ...)` writes down how each is stored, in the first process alone.
KEEPER = """
import json, os, sys
from pathlib import Path

def keep(**hooks):
    if os.environ.get("LOADS"):
        return
    from actwright.authoring.stored import store
    kept = {}
    for name, hook in hooks.items():
        stored = store(hook)
        payload = None if stored.payload is None else stored.payload.hex()
        kept[name] = {"stored": stored.object.as_json(), "payload": payload}
    told = {"kept": kept, "argv": sys.argv, "cwd": os.getcwd(), "path": sys.path}
    Path(__file__).with_name("kept.json").write_text(json.dumps(told))
"""

LOADER = """
import hashlib, json, sys
from actwright.authoring.stored import StoredObject
from actwright.replay.loading import load, preparing

asked = json.loads(sys.stdin.read())
payloads = {}
for kept in asked["kept"].values():
    if kept["payload"] is not None:
        payload = bytes.fromhex(kept["payload"])
        payloads[hashlib.sha256(payload).hexdigest()] = payload
told = {}
with preparing(asked["argv"], asked["cwd"], asked["path"]):
    for name, kept in asked["kept"].items():
        try:
            loaded = load(StoredObject.of_json(kept["stored"]), payloads.__getitem__, asked["by_value"])
            result = loaded(None, None, None) if asked["call"] else repr(loaded)
            told[name] = {"result": result, "module": getattr(loaded, "__module__", None)}
        except Exception as error:
            told[name] = {"error": f"{type(error).__name__}: {error}"}
print(json.dumps(told))
"""

How = Literal["script", "-c", "stdin", "-m", "folder"]
"""How Python is given a program."""

Found = dict[str, dict[str, Any]]
"""name -> what calling the loaded hook gave, or the error."""


def store_in(folder: Path, source: str, how: How = "script") -> dict[str, Any]:
    """Run a program that calls `keep(...)`, in a fresh interpreter, and tell what it kept."""
    (folder / "keeper.py").write_text(KEEPER)
    program = folder / ("__main__.py" if how == "folder" else "program.py")
    source = f"from keeper import keep\n{dedent(source)}"
    program.write_text(source)
    command = {"script": [str(program), "an argument"], "-c": ["-c", source], "stdin": ["-"], "-m": ["-m", "program"]}
    command["folder"] = [str(folder)]
    ran = subprocess.run(
        [sys.executable, "-W", "error", *command[how]], input=source if how == "stdin" else "",
        capture_output=True, text=True, timeout=WATCHDOG_SECONDS, check=False, cwd=folder,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads((folder / "kept.json").read_text())
    return told


def load_elsewhere(told: dict[str, Any], by_value: bool | str = True, call: bool = True) -> Found:
    """Load each kept hook in a fresh interpreter, and call it."""
    ran = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", LOADER],
        input=json.dumps({**told, "by_value": by_value, "call": call}), env={**os.environ, "LOADS": "yes"},
        capture_output=True, text=True, timeout=WATCHDOG_SECONDS, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    found: Found = json.loads(ran.stdout)
    return found
