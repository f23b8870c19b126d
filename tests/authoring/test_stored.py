"""How an object is stored; `tests/replay/test_loading.py` has another process find it again."""

from __future__ import annotations

import functools
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from tests.authoring.named import notify

from actwright import flow, task
from actwright.authoring.by_value import by_value, from_value
from actwright.authoring.keys import KEY_FILE
from actwright.authoring.stored import Reference, StoredObject, entry_of, reference_of, store
from actwright.exceptions import SecretKeyError


def closure(held: Any) -> Callable[..., Any]:
    def inner(*_: Any) -> Any:
        return held

    return inner


def value_of(item: object) -> Any:
    """An object that went through its value."""
    payload = store(item).payload
    assert payload is not None
    return from_value(payload)


def test_what_can_be_imported_is_stored_by_its_path_alone() -> None:
    stored = store(notify)
    assert stored.payload is None
    assert stored.object == StoredObject("notify", (Reference("path", "tests.authoring.named:notify"),))


def test_importing_what_is_found_by_path_does_not_load_cloudpickle() -> None:
    program = (
        "import sys, json\nfrom actwright.authoring.stored import store\n"
        "store(json.dumps)\nassert 'cloudpickle' not in sys.modules\n"
        "store(lambda: None)\nassert 'cloudpickle' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], timeout=60, check=True)


def test_what_cannot_is_stored_by_value() -> None:
    stored = store(closure(3))
    assert [reference.way for reference in stored.object.references] == ["value"]
    assert value_of(closure(3))() == 3


def test_what_can_be_neither_has_no_references_and_says_why() -> None:
    stored = store(closure(threading.Lock()))
    assert stored.object.references == ()
    assert "cannot pickle '_thread.lock' object" in str(stored.object.why)
    assert not stored.object.is_findable()


def test_an_object_that_ends_the_program_when_it_is_pickled_does_not() -> None:
    class Rude:
        def __reduce__(self) -> Any:
            raise SystemExit(1)

    assert "SystemExit: 1" in str(store(closure(Rude())).object.why)


def test_what_takes_too_much_room_is_not_kept() -> None:
    assert "at most 16000000 are kept" in str(store(closure(bytes(16_000_001))).object.why)


def test_by_value_is_no_way_where_unpickling_is_forbidden() -> None:
    stored = store(closure(1)).object
    assert stored.is_findable()
    assert not stored.is_findable(by_value=False)


def test_an_object_is_pickled_once() -> None:
    pickled: list[int] = []

    class Counting:
        def __reduce__(self) -> Any:
            pickled.append(1)
            return str, ()

    hook = closure(Counting())
    assert store(hook) is store(hook)
    assert len(pickled) == 1


def test_another_object_at_the_same_place_is_another_object() -> None:
    for number in range(200):
        assert value_of(closure(number))() == number
        gc.collect(0)


def test_it_comes_back_from_json() -> None:
    for stored in (store(notify).object, store(closure(1)).object, store(closure(threading.Lock())).object):
        assert StoredObject.of_json(json.loads(json.dumps(stored.as_json()))) == stored


def test_a_local_flow_whose_hooks_refer_to_it_is_made_anew() -> None:
    def tell(*_: Any) -> Any:
        return work

    @flow(name="work", retries=2, on_failure=[tell])
    def work(number: int = 3) -> int:
        return number if number else work.fn(1)

    made = value_of(tell)()
    assert (made.name, made.options.retries, made.fn(0)) == ("work", 2, 1)
    assert made.on_failure_hooks[0]() is made
    assert made.parameters.bind((), {}) == {"number": 3}
    assert value_of(work).name == "work"


def test_flows_that_call_each_other_are_made_anew() -> None:
    @flow(name="ping")
    def ping() -> Any:
        return pong

    @task(name="pong")
    def pong() -> Any:
        return ping

    made = value_of(ping)
    assert made.fn().fn() is made
    assert made.fn().kind == "task"


def test_a_cached_function_is_made_anew() -> None:
    @functools.lru_cache(maxsize=7)
    def fib(n: int) -> int:
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    made = value_of(closure(fib))()
    assert made(30) == 832040
    assert made.cache_parameters() == {"maxsize": 7, "typed": False}


def test_a_flow_with_other_options_keeps_them() -> None:
    from tests.authoring.named import nightly

    made = value_of(nightly.with_options(retries=5))
    assert (made.name, made.options.retries) == (nightly.name, 5)
    assert made.fn is nightly.fn


def test_a_flow_of_an_instance_is_made_with_that_instance() -> None:
    class Service:
        def __init__(self, name: str) -> None:
            self.name = name

        @flow
        def serve(self) -> str:
            return self.name

    made = value_of(Service("a").serve)
    assert (made.name, made.fn()) == ("serve", "a")


def test_pickling_leaves_cloudpickle_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("made_in_memory")
    exec("def inner(*_): return 'inner'", module.__dict__)
    monkeypatch.setitem(sys.modules, "made_in_memory", module)
    payload = by_value(module.inner)
    monkeypatch.delitem(sys.modules, "made_in_memory")
    restored: Any = from_value(payload)
    assert restored() == "inner"
    cloudpickle: Any = sys.modules["cloudpickle"]
    assert cloudpickle.list_registry_pickle_by_value() == set()


# By name


class Holder:
    @task
    def method(self) -> None: ...


def test_an_entry_is_the_name_that_leads_back_to_this_very_object() -> None:
    assert entry_of(notify) == "tests.authoring.named:notify"
    assert reference_of("tests.authoring.named:notify") == store(notify).object.references[0]


def test_what_no_name_leads_to_has_no_entry_and_nothing_is_pickled_for_that() -> None:
    @flow
    def inside() -> None: ...

    for item in (inside, Holder().method, closure(threading.Lock())):
        assert entry_of(item) is None
    program = (
        "import sys\nfrom actwright.authoring.stored import entry_of\n"
        "assert entry_of(lambda: None) is None\nassert 'cloudpickle' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], timeout=60, check=True)


def test_one_with_other_options_has_the_entry_of_none_but_its_own_name() -> None:
    original = Holder.__dict__["method"]
    assert entry_of(original) == f"{__name__}:Holder.method"
    assert entry_of(original.with_options(name="other")) is None


def test_in_a_script_an_entry_is_the_name_in_its_file_and_in_a_module_that_is_run_the_modules(tmp_path: Path) -> None:
    source = "from actwright import flow\nfrom actwright.authoring.stored import entry_of\n"
    source += "@flow\ndef work(): ...\nprint(entry_of(work))\n"
    script = tmp_path / "script.py"
    script.write_text(source, encoding="utf-8")
    for command, expected in (([str(script)], f"{script}:work"), (["-m", "script"], "script:work")):
        run = [sys.executable, "-W", "error", *command]
        ran = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        assert ran.stdout == f"{expected}\n"
    assert reference_of(f"{script}:work") == Reference("file", f"{script}:work")


def test_secrets_of_what_is_stored_by_value_are_encrypted_and_come_back(actwright_home: Path) -> None:
    class Account(BaseModel):
        password: SecretStr

    secrets = (SecretStr("hunter2"), SecretBytes(b"hunter3"), Secret({date(2031, 12, 24)}))
    account = Account(password=SecretStr("hunter4"))

    def shows() -> object:
        return [secret.get_secret_value() for secret in (*secrets, account.password)]

    payload = by_value(shows)
    assert b"hunter" not in payload
    loaded: Any = from_value(payload)
    assert loaded() == shows()
    (actwright_home / KEY_FILE).unlink()
    with pytest.raises(SecretKeyError, match="There is no key of secrets"):
        from_value(payload)
