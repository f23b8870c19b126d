"""Blocks in the hooks of a process that was killed: loaded in them, beside them, and held by them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.blocks.receiver import Receiver
from tests.engine.scripts import run_script

from actwright.blocks import SlackWebhook

pytestmark = pytest.mark.slow

HIDDEN = "hunter2"

BODY = """
@flow(on_crashed=[tell])
def nightly():
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    nightly()
"""
IMPORTS = """
import os, signal, sys
from pydantic import SecretStr
from actwright import Block, flow
from actwright.blocks import SlackWebhook
URL = open(os.path.dirname(os.path.abspath(__file__)) + "/url").read()
"""

LOADS_IN_ITS_HOOK = f"""{IMPORTS}
def tell(flow, flow_run, state):
    Block.load("slack-webhook/mine").notify(state.name)
{BODY}"""

LOADS_BESIDE_ITS_HOOK = f"""{IMPORTS}
slack = SlackWebhook.load("mine")

def tell(flow, flow_run, state):
    slack.notify(state.name)
{BODY}"""

HOLDS_ONE_THAT_IS_NOT_SAVED = f"""{IMPORTS}
slack = SlackWebhook(url=URL)

def tell(flow, flow_run, state):
    slack.notify(state.name)
{BODY}"""

HAS_A_CLASS_OF_ITS_OWN = f"""{IMPORTS}
class Pager(Block):
    _block_type_slug = "beeper"
    url: SecretStr

    def page(self, text):
        SlackWebhook(url=self.url.get_secret_value()).notify(text)

def tell(flow, flow_run, state):
    assert type(Block.load("beeper/mine")) is Pager
    Block.load("beeper/mine").page(state.name)
{BODY.replace("    nightly()", "    Pager(url=URL).save('mine'); nightly()")}"""


def recovered() -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "actwright", "recover"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("source", "by_value"),
    [
        pytest.param(LOADS_IN_ITS_HOOK, "true", id="loaded in the hook"),
        pytest.param(LOADS_BESIDE_ITS_HOOK, "true", id="loaded beside the hook"),
        pytest.param(LOADS_BESIDE_ITS_HOOK, "false", id="loaded beside the hook of a file"),
        pytest.param(HOLDS_ONE_THAT_IS_NOT_SAVED, "true", id="not saved"),
        pytest.param(HAS_A_CLASS_OF_ITS_OWN, "true", id="of a class of the script"),
        pytest.param(HAS_A_CLASS_OF_ITS_OWN, "false", id="of a class of the file"),
    ],
)
def test_a_hook_of_a_script_that_was_killed_has_its_blocks_and_the_journal_no_secret(
    source: str,
    by_value: str,
    receiver: Receiver,
    tmp_path: Path,
    actwright_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "url").write_text(f"{receiver.url}/{HIDDEN}")
    SlackWebhook(url=f"{receiver.url}/{HIDDEN}").save("mine")
    ran = run_script(tmp_path, source)
    assert ran.returncode == -9, ran.stderr
    assert HIDDEN.encode() not in b"".join(path.read_bytes() for path in actwright_home.glob("actwright.db*"))
    monkeypatch.setenv("ACTWRIGHT_LOAD_HOOKS_BY_VALUE", by_value)
    recovered()
    assert receiver.take().json() == {"text": "Crashed"}
    assert receiver.is_empty()


def test_a_module_that_loads_a_block_for_its_hooks_is_imported_whole(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "url").touch()
    SlackWebhook(url=receiver.url).save("mine")
    (tmp_path / "telling.py").write_text(
        "from actwright.blocks import SlackWebhook\n"
        "from actwright import Variable\n"
        "slack = SlackWebhook.load('mine')\n"
        "word = Variable.get('word', default='said').value\n"
        "def tell(flow, flow_run, state):\n"
        "    slack.notify(f'{word}: {state.name}')\n"
    )
    source = f"{IMPORTS}\nfrom telling import tell\n{BODY}"
    assert run_script(tmp_path, source).returncode == -9
    recovered()
    assert receiver.take().json() == {"text": "said: Crashed"}


def test_a_script_without_a_main_guard_does_not_set_its_variables_again(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "url").touch()
    SlackWebhook(url=receiver.url).save("mine")
    (tmp_path / "telling.py").write_text(
        "from actwright.blocks import SlackWebhook\n"
        "from actwright import Variable\n"
        "def tell(flow, flow_run, state):\n"
        "    SlackWebhook.load('mine').notify(Variable.get('count').value)\n"
        "Variable.set('count', str(int(Variable.get('count', default=0).value) + 1), overwrite=True)\n"
    )
    assert run_script(tmp_path, f"{IMPORTS}\nfrom telling import tell\n{BODY}").returncode == -9
    recovered()
    assert receiver.take().json() == {"text": "1"}
