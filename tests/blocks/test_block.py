"""`Block`: typed documents that are kept by name, in sync and in async code, their secrets encrypted."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing, nullcontext
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pydantic
import pydantic.dataclasses
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr, field_serializer, model_serializer
from tests.engine.watched import open_runtime

from actwright import Block, flow, run_flow
from actwright.authoring.keys import KEY_FILE
from actwright.blocks import Secret, SlackWebhook
from actwright.exceptions import (
    ActwrightError,
    AuthoringError,
    BlockExists,
    CorruptBlock,
    MisfitBlock,
    SecretKeyError,
    UnknownBlock,
    UnknownBlockType,
    WrongBlockType,
)

HIDDEN = "hunter2"


class Drawer(BaseModel):
    pin: SecretStr
    emptied: date


class Till(Block):
    url: str
    token: SecretStr
    drawers: list[Drawer] = Field(default_factory=list[Drawer])
    raw: SecretBytes | None = None
    any: Any = None
    opened: pydantic.Secret[date] | None = None
    limit: float = 0.0
    names: tuple[str, ...] = ()


def a_till(**fields: Any) -> Till:
    return Till(url="https://till.example", token=SecretStr(HIDDEN), **fields)


def change(home: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(home / "actwright.db", isolation_level=None)) as journal:
        journal.execute(statement, values)


def on_disk(home: Path) -> bytes:
    """All that is in the journal's files."""
    return b"".join(path.read_bytes() for path in home.glob("actwright.db*"))


# Saving and loading


def test_what_was_saved_is_loaded_by_its_class_and_by_its_slug() -> None:
    till = a_till()
    assert till.save("main") is till
    for loaded in (Till.load("main"), Till.load("till/main"), Block.load("till/main")):
        assert loaded == till
        assert type(loaded) is Till
        assert loaded.token.get_secret_value() == HIDDEN


@pytest.mark.anyio
async def test_in_async_code_load_save_and_delete_may_be_awaited_or_not() -> None:
    async with open_runtime():
        till = await a_till().save("main")
        assert await Till.load("main") == till == Till.load("main")
        assert await Till.delete("main") is True
        assert not Till.delete("main")


@pytest.mark.anyio
@pytest.mark.parametrize("in_runtime", [True, False])
async def test_the_typed_spellings_are_the_same_blocks(in_runtime: bool) -> None:
    async with open_runtime() if in_runtime else nullcontext():
        till = await a_till().asave("main")
        assert await Till.aload("main") == till == Till.load("main")
        assert await Block.aload("till/main") == till
        with pytest.raises(BlockExists):
            await till.asave("main")
        assert await Till.adelete("main") is True
        assert await Block.adelete("till/main") is False
        with pytest.raises(UnknownBlock):
            await Till.aload("main")


@pytest.mark.anyio
async def test_the_typed_spellings_wait_for_the_file_in_a_thread(actwright_home: Path) -> None:
    async with open_runtime():
        till = await a_till().asave("main")
        with closing(sqlite3.connect(actwright_home / "actwright.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(a_till(names=("new",)).asave, "main", overwrite=True))
                await anyio.wait_all_tasks_blocked()
                assert await Till.aload("main") == till  # this loop goes on while the other one holds the file
                other.execute("COMMIT")
        assert (await Till.aload("main")).names == ("new",)


@pytest.mark.anyio
async def test_bodies_and_hooks_load_blocks_sync_and_async() -> None:
    seen: list[str] = []

    def read(*_: object) -> None:
        seen.append(Till.load("main").token.get_secret_value())

    async def read_async(*_: object) -> None:
        seen.append((await Till.aload("main")).token.get_secret_value())

    @flow(on_completion=[read, read_async])
    def saves() -> None:
        a_till().save("main", overwrite=True)

    async with open_runtime():
        await run_flow(saves)
        saves()  # in this thread, with its actors on another loop
    assert seen == [HIDDEN] * 4


@pytest.mark.anyio
async def test_blocks_are_kept_with_the_journal(actwright_home: Path) -> None:
    async with open_runtime(journal="memory"):
        a_till().save("main")
        assert Till.load("main") == a_till()
    assert not (await anyio.Path(actwright_home).exists())  # and so no key was left there
    async with open_runtime():
        with pytest.raises(UnknownBlock):
            Till.load("main")
        a_till().save("main")
    async with open_runtime():
        assert Till.load("main") == a_till()


def test_a_block_is_overwritten_only_where_that_is_wanted() -> None:
    a_till().save("main")
    with pytest.raises(BlockExists, match=r"There is a block 'till/main' already\. Use overwrite=True to replace it\."):
        a_till(names=("new",)).save("main")
    assert Till.load("main").names == ()
    a_till(names=("new",)).save("main", overwrite=True)
    assert Till.load("main").names == ("new",)


@pytest.mark.parametrize("name", ["", "a/b", "-x", "a b", 7])
def test_a_name_that_may_not_be_one_is_refused_with_the_rule(name: Any) -> None:
    with pytest.raises(AuthoringError, match=r"A block cannot be named .* A name has 1 to 255 characters"):
        a_till().save(name)


@pytest.mark.parametrize(
    ("load", "given", "expected"),
    [
        (Block.load, "main", '"slug/name"'),
        (Block.load, "/main", '"slug/name"'),
        (Block.load, "till/", '"slug/name"'),
        (Till.load, "", '"name" or "slug/name"'),
        (Till.load, None, '"name" or "slug/name"'),
        (Block.delete, "main", '"slug/name"'),
    ],
)
def test_what_names_no_block_is_refused_with_what_does(load: Any, given: Any, expected: str) -> None:
    with pytest.raises(AuthoringError, match=f"A block is named {expected} here; got {given!r}"):
        load(given)


def test_a_block_without_fields_of_its_own_is_not_saved() -> None:
    with pytest.raises(AuthoringError, match="Make a class of it"):
        Block().save("main")


# Secrets


def test_secrets_at_whatever_depth_are_encrypted_at_rest_and_come_back(actwright_home: Path) -> None:
    till = a_till(
        drawers=[Drawer(pin=SecretStr("pin-1234"), emptied=date(2025, 1, 1))],
        raw=SecretBytes(b"raw-\xff"),
        any={"deep": [SecretStr("any-1234"), (SecretStr("any-5678"),)]},
        opened=pydantic.Secret(date(2031, 12, 24)),
    )
    till.save("main")
    kept = on_disk(actwright_home)
    assert b"https://till.example" in kept
    for hidden in (HIDDEN, "pin-1234", "raw-", "any-1234", "any-5678", "2031-12-24"):
        assert hidden.encode() not in kept
    loaded = Till.load("main")
    assert loaded.drawers == till.drawers
    assert (loaded.raw, loaded.opened) == (till.raw, till.opened)
    assert loaded.any == {"deep": [SecretStr("any-1234"), [SecretStr("any-5678")]]}
    for shown in (repr(loaded), str(loaded), str(loaded.model_dump()), loaded.model_dump_json()):
        assert HIDDEN not in shown
        assert "1234" not in shown


def test_a_secret_that_was_put_in_as_plain_text_is_encrypted_too(actwright_home: Path) -> None:
    till = a_till(drawers=[Drawer(pin=SecretStr("x"), emptied=date(2025, 1, 1))])
    till.token = "plain-1234"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    till.drawers[0].pin = "plain-5678"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
    assert "plain-1234" not in repr(till)
    till.save("main")
    assert b"plain-" not in on_disk(actwright_home)
    assert Till.load("main").drawers[0].pin.get_secret_value() == "plain-5678"


def test_a_default_that_is_plain_text_is_a_secret_too() -> None:
    class Lazy(Block):
        token: SecretStr = HIDDEN  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]

    assert HIDDEN not in repr(Lazy())
    assert Lazy().token.get_secret_value() == HIDDEN


def revealing(*, whole: bool, hidden: Callable[[SecretStr], object]) -> Block:
    """A block whose class writes its secret as something else: by the serializer of the field, or by its own."""
    if whole:

        class Whole(Block):
            token: SecretStr

            @model_serializer
            def _shown(self) -> dict[str, Any]:
                return {"token": hidden(self.token)}

        return Whole(token=SecretStr(HIDDEN))

    class Inner(BaseModel):
        token: SecretStr

        @field_serializer("token")
        def _shown(self, token: SecretStr) -> object:
            return hidden(token)

    class Outer(Block):
        inner: list[Inner]

    return Outer(inner=[Inner(token=SecretStr(HIDDEN))])


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("hidden", [SecretStr.get_secret_value, str], ids=["shown", "masked"])
def test_a_secret_that_its_class_writes_as_something_else_is_neither_saved_nor_pickled(
    whole: bool, hidden: Callable[[SecretStr], object], actwright_home: Path
) -> None:
    block = revealing(whole=whole, hidden=hidden)
    for keep in (partial(block.save, "main"), partial(pickle.dumps, block)):
        with pytest.raises(AuthoringError, match=r"a serializer of its class .* when_used='json'"):
            keep()
    assert HIDDEN.encode() not in on_disk(actwright_home)


def test_a_serializer_for_json_alone_leaves_secrets_encrypted(actwright_home: Path) -> None:
    class Shown(Block):
        token: SecretStr
        left_out: SecretStr = Field(default=SecretStr("x"), exclude=True)

        @field_serializer("token", when_used="json")
        def _shown(self, token: SecretStr) -> str:
            return token.get_secret_value()

    block = Shown(token=SecretStr(HIDDEN))
    assert HIDDEN in block.model_dump_json()
    block.save("main")
    assert Shown.load("main") == block
    assert HIDDEN.encode() not in on_disk(actwright_home)


def test_a_secret_that_a_dataclass_leaves_out_keeps_no_other_from_being_saved() -> None:
    @pydantic.dataclasses.dataclass
    class Account:
        pin: SecretStr
        left_out: SecretStr = Field(default=SecretStr("x"), exclude=True)

    class Bank(Block):
        account: Account

    bank = Bank(account=Account(pin=SecretStr(HIDDEN)))
    bank.save("main")
    assert Bank.load("main") == bank


def test_an_iterator_whose_secrets_would_be_masked_is_refused() -> None:
    class Odd(Block):
        tokens: Iterable[SecretStr]

    with pytest.raises(AuthoringError, match="an iterator, which reading would use up"):
        Odd(tokens=iter([SecretStr("a")])).save("main")
    with pytest.raises(UnknownBlock):
        Odd.load("main")


def test_a_secret_that_is_a_key_of_a_dict_is_refused() -> None:
    class Odd(Block):
        users: dict[SecretStr, int]

    with pytest.raises(AuthoringError, match=r"a secret cannot be a key of a dict"):
        Odd(users={SecretStr("a"): 1, SecretStr("b"): 2}).save("main")
    with pytest.raises(UnknownBlock):
        Odd.load("main")


def test_a_pickled_block_has_its_secrets_encrypted_and_comes_back() -> None:
    till = a_till(opened=pydantic.Secret(date(2031, 12, 24)))
    pickled = pickle.dumps(till)
    assert HIDDEN.encode() not in pickled
    assert b"2031-12-24" not in pickled
    assert pickle.loads(pickled) == till


def test_a_block_without_secrets_needs_no_key(actwright_home: Path) -> None:
    class Plain(Block):
        url: str

    Plain(url="x").save("main")
    assert Plain.load("main").url == "x"
    assert not (actwright_home / KEY_FILE).exists()


def test_what_is_wrong_with_a_field_is_said_without_its_value() -> None:
    with pytest.raises(pydantic.ValidationError) as raised:
        Till.model_validate({"url": "x", "token": 7, "drawers": [{"pin": 4321}]})
    assert "4321" not in str(raised.value)


@pytest.mark.anyio
async def test_a_block_among_parameters_is_masked_in_history_and_may_be_returned(actwright_home: Path) -> None:
    @flow
    def hands_on(till: Till) -> Till:
        return till

    till = a_till()
    async with open_runtime():
        assert await run_flow(hands_on, till) is till
    kept = await anyio.to_thread.run_sync(on_disk, actwright_home)
    assert b"till.example" in kept
    assert HIDDEN.encode() not in kept


def test_a_secret_is_any_json_value() -> None:
    values: list[Any] = ["hunter2", {"user": "me", "keys": [1, None]}, 7, None]
    for value in values:
        Secret(value=value).save("main", overwrite=True)
        assert Secret.load("main").get() == value
    assert repr(Secret(value="hunter2")) == "Secret(value=Secret('**********'))"


# What is kept


@pytest.mark.parametrize(
    "value",
    [
        float("inf"), float("-inf"), 1.5, "\ud800", "é\n", 10**40, {"$actwright": "secret", "is": "x", "key": "y"},
        {"$actwright": {"$actwright": 1}}, [{"$actwright": [1.5, float("inf")]}], {"": {}}, None, True,
    ],
    ids=str,
)  # fmt: skip
def test_what_json_has_no_word_for_and_what_looks_like_ours_comes_back(value: Any) -> None:
    a_till(any=value).save("main", overwrite=True)
    loaded = Till.load("main").any
    assert loaded == value
    assert type(loaded) is type(value)


def test_a_strict_class_and_one_with_aliases_come_back() -> None:
    class Odd(Block):
        model_config = ConfigDict(strict=True)
        since: date = Field(validation_alias="from", serialization_alias="began")
        token: SecretStr = Field(alias="t")
        ids: set[int] = Field(default_factory=set[int], strict=True)

    odd = Odd.model_validate({"from": date(2025, 1, 1), "t": SecretStr(HIDDEN), "ids": {1, 2}})
    odd.save("main")
    assert Odd.load("main") == odd


def test_what_is_nested_too_deep_is_not_saved() -> None:
    deep: Any = None
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(AuthoringError, match="JSON has no word for"):
        Till.model_construct(url="x", token=SecretStr("x"), any=deep).save("main")


@pytest.mark.parametrize("value", [10**5_000, {1: "a", "1": "b"}], ids=["digits", "keys"])
def test_what_json_would_lose_is_not_saved(value: Any) -> None:
    with pytest.raises(AuthoringError, match="'till/main' has a value that JSON has no word for"):
        a_till(any=value).save("main")
    with pytest.raises(UnknownBlock):
        Till.load("main")


def test_what_could_not_be_loaded_again_is_not_saved() -> None:
    class Odd(Block):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        thing: object = None
        left_out: int = Field(exclude=True, default=0)

    class Needs(Block):
        left_out: int = Field(exclude=True)

    with pytest.raises(AuthoringError, match=r"Block 'odd/main' has a value that JSON has no word for: .*object"):
        Odd(thing=object()).save("main")
    with pytest.raises(
        AuthoringError, match=r"'needs/main' is not saved, .* load it again: left_out: Field required\."
    ):
        Needs(left_out=1).save("main")
    for slug in ("odd/main", "needs/main"):
        with pytest.raises(UnknownBlock):
            Block.load(slug)


# What can be wrong. Each time the block is there as before.


def test_an_unknown_block_is_an_error_that_names_those_that_are_there() -> None:
    with pytest.raises(
        UnknownBlock, match=r"There is no block 'till/main'\. None is saved yet\. .* its method save\(\)"
    ):
        Till.load("main")
    Secret(value=1).save("password")
    with pytest.raises(UnknownBlock, match=r"There are: secret/password\."):
        Till.load("main")
    a_till().save("other")
    with pytest.raises(ValueError, match=r"There are: till/other\."):  # as users of this field catch it
        Till.load("main")


def test_a_block_whose_class_is_not_imported_says_who_saved_it() -> None:
    def define() -> type[Block]:
        class Elsewhere(Block):
            x: int

        return Elsewhere

    define()(x=1).save("main")  # type: ignore[call-arg]
    from actwright.blocks import types

    del types._known["elsewhere"]  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(
        UnknownBlockType, match=r"'elsewhere/main' is there, .* saved by .*:test_a_block.*Elsewhere\. Im"
    ):
        Block.load("elsewhere/main")
    again = define()
    assert Block.load("elsewhere/main") == again(x=1)  # type: ignore[call-arg]


def test_a_block_of_another_class_is_an_error_that_names_both() -> None:
    a_till().save("main")
    with pytest.raises(WrongBlockType, match=r"'till/main' is a .*:Till, no .*:SlackWebhook\. Load it by that class"):
        SlackWebhook.load("till/main")


def test_a_common_class_loads_the_blocks_of_those_that_are_made_of_it() -> None:
    class Channel(Block):
        pass

    class Pager(Channel):
        number: int

    Pager(number=7).save("main")
    loaded: Channel = Channel.load("pager/main")
    assert loaded == Pager(number=7)


def shop(**fields: Any) -> Any:
    """A class with these fields, name -> (type, default); defined again, it is the same class, changed."""
    return pydantic.create_model("Shop", __base__=Block, __module__=__name__, **fields)


def test_a_document_that_no_longer_fits_says_what_does_not_and_stays() -> None:
    before = shop(number=(str, ...), token=(SecretStr, ...))
    before(number="seven", token=SecretStr(HIDDEN)).save("main")
    shop(number=(int, ...), token=(SecretStr, ...), since=(date, ...))
    with pytest.raises(MisfitBlock) as raised:
        Block.load("shop/main")
    said = str(raised.value)
    assert "Block 'shop/main' does not fit" in said
    assert "number: Input should be a valid integer" in said
    assert "since: Field required" in said
    assert HIDDEN not in said
    assert "seven" not in said
    assert raised.value.__context__ is None  # pydantic's own error would have the values
    assert before.load("main").number == "seven"


def test_a_field_that_came_later_takes_its_default_and_one_that_went_is_left_out() -> None:
    shop(number=(str, ...), gone=(int, 0))(number="7").save("main")
    changed = shop(number=(str, ...), tills=(int, 1))
    assert Block.load("shop/main") == changed(number="7")


@pytest.mark.parametrize(
    "damage",
    [
        "'{'", "'[]'", "'{}'", "x'ff'", "'{\"class\": 1, \"fields\": {}}'", "'{\"class\": \"x\", \"fields\": []}'",
        "replace(document, '\"gAAAA', '\"gAAAB')", "replace(document, '$actwright\": \"secret', '$actwright\": \"odd')",
        "replace(document, '\"is\"', '\"was\"')",
    ],
)  # fmt: skip
def test_a_document_that_was_damaged_says_so_and_can_be_saved_anew(damage: str, actwright_home: Path) -> None:
    a_till().save("main")
    Secret(value=1).save("other")
    change(actwright_home, f"UPDATE blocks SET document = {damage} WHERE slug = 'till'")
    with pytest.raises(CorruptBlock, match=r"block 'till/main' is damaged: .* `actwright block delete till/main`"):
        Till.load("main")
    assert Secret.load("other").get() == 1
    a_till().save("main", overwrite=True)
    assert Till.load("main") == a_till()


def test_a_key_that_is_gone_or_another_one_says_so_and_nothing_is_lost(actwright_home: Path) -> None:
    a_till().save("main")
    key = (actwright_home / KEY_FILE).read_bytes()
    (actwright_home / KEY_FILE).unlink()
    with pytest.raises(
        SecretKeyError, match=r"There is no key of secrets: neither .*secret\.key nor ACTWRIGHT_SECRET_KEY"
    ):
        Till.load("main")
    assert not (actwright_home / KEY_FILE).exists()  # a new one would only hide that the old one is missing
    a_till().save("second")
    with pytest.raises(SecretKeyError, match=r"encrypted with another key \(fingerprint [0-9a-f]{8}\) than those of"):
        Till.load("main")
    with (actwright_home / KEY_FILE).open("ab") as file:
        file.write(key)
    assert Till.load("main") == Till.load("second") == a_till()


def test_every_error_is_one_of_ours() -> None:
    for error in (
        BlockExists,
        CorruptBlock,
        MisfitBlock,
        SecretKeyError,
        UnknownBlock,
        UnknownBlockType,
        WrongBlockType,
    ):
        assert issubclass(error, ActwrightError)


def test_a_block_is_deleted_by_its_class_and_by_its_slug() -> None:
    a_till().save("a")
    a_till().save("b")
    assert Till.delete("a")
    assert Block.delete("till/b")
    assert not Block.delete("till/b")
    with pytest.raises(UnknownBlock):
        Till.load("a")
