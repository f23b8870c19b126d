"""Hooks of one process, found by another: each is stored by one fresh interpreter and loaded by the next."""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.replay.elsewhere import Found, How, load_elsewhere, store_in

from actwright.authoring.stored import Reference, StoredObject
from actwright.replay.loading import NotLoadable, load, may_load_by_value, preparing

MODULE = """
import functools, threading

def plain(subject, run, state): return "plain"

def traced(fn):
    @functools.wraps(fn)
    def inner(*args): return f"traced {fn(*args)}"
    return inner

def bare(fn):
    def inner(*args): return f"bare {fn(*args)}"
    return inner

@traced
def decorated(subject, run, state): return "decorated"

@bare
def disguised(subject, run, state): return "disguised"

class Notifier:
    def __init__(self, channel): self.channel, self.lock = channel, threading.Lock()
    def __call__(self, subject, run, state): return f"called {self.channel}"
    def notify(self, subject, run, state): return f"notified {self.channel}"
    @classmethod
    def of_class(cls, subject, run, state): return f"class {cls.__name__}"
    @staticmethod
    def static(subject, run, state): return "static"

notifier = Notifier("module")
shout = lambda subject, run, state: "SHOUT"

def closure(word):
    def inner(subject, run, state): return f"{word} {plain(subject, run, state)}"
    return inner
"""

USES_MODULE = """
import some_hooks
keep(
    plain=some_hooks.plain, decorated=some_hooks.decorated, disguised=some_hooks.disguised,
    notifier=some_hooks.notifier, notify=some_hooks.notifier.notify, of_class=some_hooks.Notifier.of_class,
    static=some_hooks.Notifier.static, shout=some_hooks.shout, closure=some_hooks.closure("closed"),
)
"""

SCRIPT = """
import functools, threading
from dataclasses import dataclass
from actwright import flow, task

GREETING = "hello"

def helper(): return GREETING
def plain(subject, run, state): return helper()
def closure(word):
    def inner(subject, run, state): return f"{word} {helper()}"
    return inner
def with_channel(channel, subject, run, state): return f"to {channel}"
def traced(fn):
    @functools.wraps(fn)
    def inner(*args): return f"traced {fn(*args)}"
    return inner
@traced
def decorated(subject, run, state): return "decorated"

@dataclass
class Notifier:
    channel: str
    def __call__(self, subject, run, state): return f"called {self.channel}"
    def notify(self, subject, run, state): return f"notified {self.channel}"

def knows_its_flow(subject, run, state): return [work.name, work.options.retries, len(work.options.on_failure)]

@flow(retries=3, on_failure=[knows_its_flow])
def work(number: int = 7): return work

@work.on_failure
def added(subject, run, state): return work.fn() is work

@task(name="step")
def step(subject, run, state): return step

def calls_body_of_task(subject, run, state): return step.fn(1, 2, 3) is step and step.name

class Service:
    @flow
    def serve(self): return self
def knows_a_method(subject, run, state): return [Service().serve.name, Service.serve.name]

keep(
    plain=plain, closure=closure("closed"), lambda_=lambda *_: "lambda", partial=functools.partial(with_channel, "ops"),
    decorated=decorated, method=Notifier("a").notify, callable_=Notifier("b"), knows_its_flow=knows_its_flow,
    added=added, calls_body_of_task=calls_body_of_task, knows_a_method=knows_a_method,
)
"""

BY_MODULE = {
    "plain": "plain", "decorated": "traced decorated", "disguised": "bare disguised", "notifier": "called module",
    "notify": "notified module", "of_class": "class Notifier", "static": "static", "shout": "SHOUT",
    "closure": "closed plain",
}  # fmt: skip
BY_SCRIPT: dict[str, Any] = {
    "plain": "hello", "closure": "closed hello", "lambda_": "lambda", "partial": "to ops",
    "decorated": "traced decorated",
    "method": "notified a", "callable_": "called b", "knows_its_flow": ["work", 3, 2], "added": True,
    "calls_body_of_task": "step", "knows_a_method": ["serve", "serve"],
}  # fmt: skip


def results(found: Found) -> dict[str, Any]:
    return {name: told.get("result", told.get("error")) for name, told in found.items()}


def ways(told: dict[str, Any], name: str) -> list[str]:
    return [way for way, _ in told["kept"][name]["stored"]["references"]]


def test_hooks_of_a_module_are_imported(tmp_path: Path) -> None:
    (tmp_path / "some_hooks.py").write_text(MODULE)
    told = store_in(tmp_path, USES_MODULE)
    assert results(load_elsewhere(told)) == BY_MODULE
    assert {name for name in BY_MODULE if ways(told, name) != ["path"]} == {"closure"}


@pytest.mark.parametrize("how", ["script", "-c", "stdin", "-m", "folder"])
def test_hooks_of_what_runs_as_main_are_loaded_by_value(tmp_path: Path, how: How) -> None:
    told = store_in(tmp_path, SCRIPT, how)
    assert {name for name in BY_SCRIPT if ways(told, name)[0] != "value"} == set()
    for program in tmp_path.glob("*.py"):
        program.unlink()
    assert results(load_elsewhere(told)) == BY_SCRIPT


@pytest.mark.parametrize("how", ["script", "-m", "folder"])
def test_where_loading_by_value_is_forbidden_a_script_is_loaded_by_its_file(tmp_path: Path, how: How) -> None:
    told = store_in(tmp_path, SCRIPT, how)
    found = results(load_elsewhere(told, by_value="the owner forbids it"))
    nameless = {"closure", "lambda_", "partial", "method", "callable_"}
    assert {name: result for name, result in found.items() if name not in nameless} == {
        name: result for name, result in BY_SCRIPT.items() if name not in nameless
    }
    for name in nameless:
        assert "it is not loaded by value: the owner forbids it" in found[name]


UNGUARDED = """
from actwright import flow
import threading
lock = threading.Lock()

def notify(subject, run, state): return f"notified {'later' in globals()}"
def locked(subject, run, state):
    with lock: return "locked"

@flow(on_failure=[notify])
def work():
    with open("ran.txt", "a") as file: file.write("ran\\n")

keep(notify=notify, locked=locked)
CALL
later = 1
"""


@pytest.mark.parametrize("call", ["work()", "import anyio, actwright; anyio.run(actwright.run_flow, work)"])
def test_a_script_without_a_main_guard_does_not_run_again(tmp_path: Path, call: str) -> None:
    told = store_in(tmp_path, UNGUARDED.replace("CALL", call))
    assert ways(told, "locked") == ["file"]
    assert (tmp_path / "ran.txt").read_text() == "ran\n"
    assert results(load_elsewhere(told, by_value=False)) == {"notify": "notified False", "locked": "locked"}
    assert (tmp_path / "ran.txt").read_text() == "ran\n"


def test_a_script_with_a_main_guard_is_loaded_whole(tmp_path: Path) -> None:
    told = store_in(tmp_path, UNGUARDED.replace("CALL", 'if __name__ == "__main__": work()'))
    assert results(load_elsewhere(told))["locked"] == "locked"
    assert results(load_elsewhere(told, by_value=False))["notify"] == "notified True"
    assert (tmp_path / "ran.txt").read_text() == "ran\n"


def test_a_module_that_calls_a_flow_when_it_is_imported_does_not_run_it_again(tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text("from keeper import keep\n" + UNGUARDED.replace("CALL", "work()"))
    told = store_in(tmp_path, "import jobs")
    assert ways(told, "notify") == ["path"]
    assert results(load_elsewhere(told))["notify"] == "notified False"
    assert (tmp_path / "ran.txt").read_text() == "ran\n"


def test_a_module_that_only_imports_what_would_run_flows_is_loaded_whole(tmp_path: Path) -> None:
    imports = "from keeper import keep\nfrom actwright import Runtime, run_flow\n"
    (tmp_path / "jobs.py").write_text(imports + UNGUARDED.replace("CALL", ""))
    told = store_in(tmp_path, "import jobs")
    assert ways(told, "notify") == ["path"]
    assert results(load_elsewhere(told))["notify"] == "notified True"


def test_a_hook_sees_the_arguments_and_the_folder_of_the_program(tmp_path: Path) -> None:
    source = """
    import os, sys
    def where(subject, run, state): return [sys.argv[1:], os.getcwd()]
    keep(where=where)
    """
    assert results(load_elsewhere(store_in(tmp_path, source)))["where"] == [["an argument"], str(tmp_path)]


INVENTED = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("plugins.invented", "plugin.py")
plugin = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = plugin
spec.loader.exec_module(plugin)
def of_script(subject, run, state): return f"script {plugin.plain(subject, run, state)}"
keep(plain=plugin.plain, locked=plugin.locked, of_script=of_script)
"""


def test_a_module_under_an_invented_name_is_not_imported_but_found(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(
        "import threading\n"
        "lock = threading.Lock()\n"
        "def word(): return 'plugged'\n"
        "def plain(subject, run, state): return word()\n"
        "def locked(subject, run, state):\n    with lock: return 'locked'\n"
    )
    told = store_in(tmp_path, INVENTED)
    assert ways(told, "plain") == ["value", "file"]
    assert ways(told, "locked") == ["file"]
    found = results(load_elsewhere(told))
    assert (found["plain"], found["locked"]) == ("plugged", "locked")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (None, "No module named 'some_hooks'"),
        ("def other(): ...", "there is no 'plain' in it"),
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("plain = 1", "is int, which cannot be called"),
        ("def plain(:", "SyntaxError"),
    ],
)
def test_a_hook_whose_module_has_changed_says_what_is_wrong(tmp_path: Path, change: str | None, why: str) -> None:
    module = tmp_path / "some_hooks.py"
    module.write_text(MODULE)
    told = store_in(tmp_path, "import some_hooks\nkeep(plain=some_hooks.plain)")
    module.unlink()
    if change is not None:
        module.write_text(change)
    error = load_elsewhere(told)["plain"]["error"]
    assert error.startswith("NotLoadable: 'plain' cannot be loaded: importing some_hooks:plain")
    assert why in error


@pytest.mark.parametrize(
    ("captured", "why"),
    [
        ("threading.Lock()", "cannot pickle '_thread.lock' object"),
        ("open(__file__, 'a')", "Cannot pickle files that are not opened for reading"),
        ("(number for number in range(3))", "cannot pickle 'generator' object"),
    ],
)
def test_a_hook_that_holds_what_cannot_be_pickled_says_so(tmp_path: Path, captured: str, why: str) -> None:
    source = f"""
    import threading, warnings
    warnings.simplefilter("ignore", ResourceWarning)
    def closure(held):
        def inner(subject, run, state): return held
        return inner
    keep(inner=closure({captured}))
    """
    told = store_in(tmp_path, source)
    assert ways(told, "inner") == []
    error = load_elsewhere(told)["inner"]["error"]
    assert error.startswith("NotLoadable: 'inner' cannot be loaded: it cannot be kept by value: ")
    assert why in error


def test_each_way_is_tried_and_each_says_what_failed(tmp_path: Path) -> None:
    file = tmp_path / "gone.py"
    stored = StoredObject(
        "hook",
        (
            Reference("path", "no_such_module:hook"),
            Reference("value", "00"),
            Reference("value", "00"),
            Reference("file", f"{file}:hook"),
        ),
    )
    with pytest.raises(NotLoadable) as caught:
        load(stored, {"00": b"other"}.__getitem__)
    assert caught.value.name == "hook"
    path, value, _, by_file = caught.value.failures
    assert path.startswith("importing no_such_module:hook failed: ModuleNotFoundError")
    assert value.startswith("loading it by value failed: ValueError: its payload is not what was stored")
    assert by_file.startswith(f"running {file} failed: FileNotFoundError")


def test_what_another_python_pickled_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    payload = b"cpython-399\nanything"
    stored = StoredObject("hook", (Reference("value", sha256(payload).hexdigest()),))
    with pytest.raises(NotLoadable, match="made by b'cpython-399'"):
        load(stored, lambda _: payload)


def test_a_file_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    database = tmp_path / "actwright.db"
    database.touch(mode=0o600)
    assert may_load_by_value(database, True) is True
    assert "load_hooks_by_value" in str(may_load_by_value(database, False))
    for mode in (0o620, 0o602):
        database.chmod(mode)
        assert "others may write" in str(may_load_by_value(database, True))


def test_preparing_is_undone(tmp_path: Path) -> None:
    before = sys.argv, sys.path, Path.cwd()
    with preparing(["a"], str(tmp_path), ["/somewhere"]):
        assert (sys.argv, sys.path[0], Path.cwd()) == (["a"], "/somewhere", tmp_path)
    assert (sys.argv, sys.path, Path.cwd()) == before
    with preparing([], str(tmp_path / "gone"), []):
        assert Path.cwd() == before[2]
