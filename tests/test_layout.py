"""The layout's rules: who may import whom, what each module exports, and which names users see."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {"actwright_actors": ROOT / "actors", "actwright": ROOT / "runtime"}

ADAPTER = "actwright_actors._backend"
DOOR = "actwright.authoring.entry"
EVENT_LOOPS = {"asyncio", "trio", "uvloop"}

# A part of `actwright` -> the other parts that it may import. A new part is placed here first.
MAY_IMPORT = {
    "exceptions": set[str](),
    "settings": {"exceptions"},
    "models": {"exceptions"},
    "logging": {"models"},  # `actwright.logging`: for programs that configure logging themselves
    "telemetry": {"models", "exceptions"},
    "authoring": {"logging", "models", "exceptions", "settings"},
    "blocks": {"authoring", "models", "exceptions", "settings"},
    "journal": {"authoring", "models", "exceptions", "settings"},
    "nodes": {"journal", "models", "exceptions", "settings"},
    "isolation": {"authoring", "nodes", "telemetry", "models", "exceptions"},
    "engine": {"authoring", "isolation", "journal", "nodes", "telemetry", "models", "exceptions", "settings"},
    "replay": {"authoring", "engine", "journal", "nodes", "telemetry", "models", "exceptions", "settings"},
    "runtime": {"authoring", "models", "exceptions"},  # `actwright.runtime`: what a body asks about its run
    "testing": {"actwright", "authoring", "engine", "journal", "nodes", "replay", "models", "exceptions", "settings"},
    "client": {"authoring", "journal", "nodes", "telemetry", "models", "exceptions", "settings"},
    "serving": {"authoring", "client", "engine", "journal", "nodes", "telemetry", "models", "exceptions", "settings"},
    "control": {
        "client",
        "serving",
        "actwright",
        "authoring",
        "blocks",
        "engine",
        "journal",
        "nodes",
        "models",
        "exceptions",
        "settings",
        "runtime",
    },
    "actwright": {
        "authoring",
        "blocks",
        "engine",
        "models",
        "exceptions",
        "serving",
    },  # it re-exports
    "__main__": {"control"},
}
# Of the engine, what stands on top sees its messages and its Runtime, never what a run is made of.
ENGINE_DOORS = {"actwright.engine.kit", "actwright.engine.messages", "actwright.engine.runtime"}

PUBLIC = {
    "actwright": [
        "Block", "Cancelled", "Cancelling", "Completed", "Crashed", "Failed", "Flow", "FlowRun", "Handle", "Pending",
        "Running", "Runtime", "State", "StateType", "TagLimit", "Task", "TaskRun", "Variable", "allow_failure",
        "as_completed", "concurrency", "flow", "get_run_logger", "hook", "receive", "run_flow", "serve", "tags", "task",
        "unmapped", "wait",
    ],
    "actwright_actors": [
        "Actor", "ActorContext", "ActorDead", "ActorError", "ActorInfo", "ActorRef", "ActorSystem", "AlreadySpawned",
        "Ask", "AskTimeout", "AutoShutdown", "Backoff", "ChildSpec", "ChildTask", "Clock", "Crashed", "DeadLetter",
        "DeadLetterHandler", "DeadLetterReason", "DeadlockDetected", "DeferredReply", "Down", "DynamicSupervisor",
        "ExitReason", "Groups", "Instrument", "KeyedTimers", "Killed", "LinkBroken", "MailboxFull", "MailboxOptions",
        "MemberJoined", "MemberLeft", "NameTaken", "NoSuchChild", "Normal", "Overflow", "Port", "Refusal",
        "RestartIntensityExceeded", "RestartType", "Shutdown", "StartChild", "StartFailed", "StashFull", "StateMachine",
        "Status", "SteppedClock", "StopChild", "Strategy", "Supervisor", "SupervisorMessage", "SystemClock",
        "SystemClosed", "SystemInfo", "Timer", "Timers", "WrongThread", "dump_on_signal", "wait_through",
    ],
}  # fmt: skip


@dataclass(frozen=True)
class Module:
    """A source file, read and not run."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"), filename=str(self.path))

    @property
    def is_public(self) -> bool:
        return not any(part.startswith("_") for part in self.name.split("."))

    def imports(self, *, at_import: bool = False) -> Iterator[tuple[str, str | None]]:
        """The file's imports: (module, name), or (module, None) for the module itself.

        `at_import` leaves out those that stand inside something, and so run later or never.
        """
        for node in self.tree.body if at_import else ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((self.absolute(node), alias.name) for alias in node.names)
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                yield ast.unparse(node.args[0]).strip("'\""), None

    def absolute(self, node: ast.ImportFrom) -> str:
        """The module that a `from … import` names, also when it names it by dots."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        return resolve_name("." * node.level + (node.module or ""), package)


def top_level(name: str) -> str:
    return name.partition(".")[0]


def modules_of(package: str) -> list[Module]:
    root = SOURCES[package]
    files = sorted((root / package).rglob("*.py"))
    dotted = {file: ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for file in files}
    return [Module(name, file) for file, name in dotted.items()]


LIBRARY = modules_of("actwright_actors")
RUNTIME = modules_of("actwright")
each_module = pytest.mark.parametrize("module", LIBRARY + RUNTIME, ids=lambda module: module.name)
each_runtime_module = pytest.mark.parametrize("module", RUNTIME, ids=lambda module: module.name)


@pytest.mark.parametrize("module", LIBRARY, ids=lambda module: module.name)
def test_the_actor_library_needs_the_standard_library_and_anyio_alone(module: Module) -> None:
    known: set[str] = {*sys.stdlib_module_names, "anyio", "actwright_actors"}
    if module.name == ADAPTER:
        known |= EVENT_LOOPS
    assert [name for name, _ in module.imports() if top_level(name) not in known] == []


def test_the_adapter_loads_no_event_loop_before_it_is_asked_to() -> None:
    adapter = next(module for module in LIBRARY if module.name == ADAPTER)
    assert [name for name, _ in adapter.imports(at_import=True) if top_level(name) in EVENT_LOOPS] == []


@each_module
def test_only_the_adapter_knows_an_event_loop_by_name(module: Module) -> None:
    if module.name != ADAPTER:
        assert [name for name, _ in module.imports() if top_level(name) in EVENT_LOOPS] == []


@each_runtime_module
def test_the_runtime_uses_only_public_names_of_the_actor_library(module: Module) -> None:
    for source, name in module.imports():
        if top_level(source) == "actwright_actors":
            assert Module(source, module.path).is_public, f"{source} is private"
            exported = importlib.import_module(source).__all__
            assert name in exported, f"{source} does not export {name}"


@each_runtime_module
def test_imports_run_from_models_to_authoring_to_engine_and_never_back(module: Module) -> None:
    part = part_of(module.name)
    assert part in MAY_IMPORT, f"place {part!r} in MAY_IMPORT: what may it import?"
    allowed = MAY_IMPORT[part] | {part}
    if module.name == DOOR:
        allowed |= {"engine"}
    for source, _ in own_imports(module):
        assert part_of(source) in allowed, f"{module.name} must not import {source}"


@each_runtime_module
def test_what_stands_on_top_never_looks_inside_a_run(module: Module) -> None:
    if part_of(module.name) in {"control", "testing"}:
        inside = {source for source, _ in own_imports(module) if part_of(source) == "engine"} - ENGINE_DOORS
        assert inside == set()


@each_runtime_module
def test_below_the_engine_modules_are_loaded_by_name_at_one_door_alone(module: Module) -> None:
    if part_of(module.name) in {"exceptions", "settings", "models", "authoring", "journal"}:
        assert ("import_module" in ast.unparse(module.tree)) == (module.name == DOOR)


@each_module
def test_a_public_module_exports_what_it_defines(module: Module) -> None:
    if not module.is_public or only_docstring(module.tree):
        return
    exported = importlib.import_module(module.name).__all__
    assert len(set(exported)) == len(exported)
    assert [name for name in exported if not hasattr(importlib.import_module(module.name), name)] == []
    assert definitions(module.tree) - set(exported) == set()


@pytest.mark.parametrize("package", PUBLIC)
def test_users_see_these_names_and_no_others(package: str) -> None:
    assert sorted(importlib.import_module(package).__all__) == PUBLIC[package]


def part_of(name: str) -> str:
    """The part of `actwright` that a module belongs to; `actwright` itself for the package."""
    return name.split(".")[1] if "." in name else name


def own_imports(module: Module) -> Iterator[tuple[str, str | None]]:
    """Imports of `actwright`'s own modules; `from actwright import models` counts as one of `actwright.models`."""
    for source, name in module.imports():
        if top_level(source) == "actwright":
            is_part = source == "actwright" and name in MAY_IMPORT
            yield (f"actwright.{name}" if is_part else source), name


def only_docstring(tree: ast.Module) -> bool:
    return all(isinstance(node, ast.Expr) or ast.unparse(node).startswith("from __future__") for node in tree.body)


def definitions(tree: ast.Module) -> set[str]:
    """The public classes, functions and constants of a module; its logger and its type variables are its own."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not is_module_furniture(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("_")}


def is_module_furniture(value: ast.expr | None) -> bool:
    makers = {"TypeVar", "ParamSpec", "TypeVarTuple", "logging.getLogger", "getLogger"}
    return isinstance(value, ast.Call) and ast.unparse(value.func) in makers
