"""What is given for a secret is hidden from the moment of the call, in whatever type the secret is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, NewType, TypedDict, TypeVar

import pytest
from pydantic import BaseModel, Field, Secret, SecretBytes, SecretStr

from actwright.authoring.parameters import Parameters
from actwright.authoring.secrets import concealed, holds_secret
from actwright.exceptions import ParameterTypeError


class Account(BaseModel):
    name: str
    password: SecretStr


class Tree(BaseModel):
    branches: list[Tree] = []
    account: Account | None = None


class Ring(BaseModel):
    following: Ring | None = None


@dataclass
class Login:
    account: Account


class Row(NamedTuple):
    key: SecretBytes


class Options(TypedDict, total=False):
    token: SecretStr


class Own(SecretStr):
    """An author's own kind."""


Token = NewType("Token", SecretStr)
Bound = TypeVar("Bound", bound=Account)


@pytest.mark.parametrize(
    "hint",
    [
        SecretStr, SecretBytes, Secret[int], Own, Token, Bound, Account, Tree, Login, Row, Options, SecretStr | None,
        list[SecretStr], dict[str, Account], tuple[int, Login], type[Account],
        Annotated[SecretStr, Field(min_length=1)],
    ],
)  # fmt: skip
def test_a_type_with_a_secret_anywhere_in_it_holds_one(hint: Any) -> None:
    assert holds_secret(hint)


@pytest.mark.parametrize("hint", [int, str, None, Any, object, Ring, list[str], dict[str, int | None], TypeVar("T")])
def test_a_type_without_one_holds_none(hint: Any) -> None:
    assert not holds_secret(hint)


def test_what_is_hidden_is_shown_by_nobody_and_can_be_asked_for() -> None:
    hidden = concealed({"password": "hush"})
    assert "hush" not in f"{hidden} {hidden!r}"
    assert isinstance(hidden, Secret)
    assert hidden.get_secret_value() == {"password": "hush"}


def test_what_hides_already_and_what_is_not_given_stay_as_they_are() -> None:
    secret = SecretStr("hush")
    assert concealed(secret) is secret
    assert concealed(None) is None


def test_parameters_are_hidden_by_their_types_and_others_are_not() -> None:
    def body(token: SecretStr, rest: Any, *more: SecretStr, count: int = 1) -> None: ...

    parameters = Parameters.of(body, "Flow 'it'")
    shown = parameters.concealed(parameters.bind(("hush", "seen", "hush"), {}))
    assert "hush" not in repr(shown)
    assert (shown["rest"], shown["count"]) == ("seen", 1)


def test_an_annotation_that_cannot_be_resolved_hides_its_value_if_it_speaks_of_a_secret() -> None:
    def body(token: Any, other: Any) -> None: ...

    body.__annotations__ = {"token": "NoSuchSecret", "other": "NoSuchThing"}
    shown = Parameters.of(body, "Flow 'it'").concealed({"token": "hush", "other": "seen"})
    assert "hush" not in repr(shown)
    assert shown["other"] == "seen"


def test_what_is_wrong_with_a_secret_is_said_without_it() -> None:
    def body(account: Account, number: int) -> None: ...

    with pytest.raises(ParameterTypeError) as caught:
        Parameters.of(body, "Flow 'it'").validate({"account": {"password": "hush"}, "number": "seen"})
    assert "hush" not in str(caught.value)
    assert "account=**********: name: Field required" in str(caught.value)
    assert "number='seen'" in str(caught.value)
