from __future__ import annotations

from typing import Any

import pytest

from actwright.authoring.checks import seconds, whole_number
from actwright.authoring.hooks import HOOK_EVENTS, Hook
from actwright.authoring.options import FlowKeywords, FlowOptions, RunOptions, TaskKeywords, TaskOptions
from actwright.exceptions import UnsupportedOption


def notify(subject: Any, run: Any, state: Any) -> None: ...
def clean_up(subject: Any, run: Any, state: Any) -> None: ...


def negative_delays(retries: int) -> list[float]:
    return [-1.0] * max(retries, 1)


def one_delay(retries: int) -> float:
    return 5


def no_retries() -> list[float]:
    return [5]


def of_a_state(state: Any) -> bool:
    return True


both_kinds = pytest.mark.parametrize("defaults", [FlowOptions(), TaskOptions()], ids=["flow", "task"])


@both_kinds
def test_given_options_replace_and_all_others_are_kept(defaults: RunOptions) -> None:
    first = defaults.replace(name="a", retries=3, tags=["x"], on_failure=[notify])
    second = first.replace(retries=1)
    assert (second.name, second.retries, second.tags, second.on_failure) == ("a", 1, frozenset({"x"}), (Hook(notify),))
    assert first.retries == 3


@both_kinds
def test_a_list_of_hooks_overrides_and_an_empty_one_clears(defaults: RunOptions) -> None:
    first = defaults.replace(on_failure=[notify], on_end=[clean_up])
    assert first.replace(on_failure=[clean_up]).on_failure == (Hook(clean_up),)
    cleared = first.replace(on_failure=[])
    assert cleared.on_failure == ()
    assert cleared.on_end == (Hook(clean_up),)


@both_kinds
def test_none_clears_where_nothing_is_a_value_and_is_not_given_elsewhere(defaults: RunOptions) -> None:
    first = defaults.replace(name="a", timeout_seconds=3, retries=2, tags=["x"], on_failure=[notify])
    second = first.replace(name=None, timeout_seconds=None, retries=None, tags=None, on_failure=None)
    assert (second.name, second.timeout_seconds) == (None, None)
    assert (second.retries, second.tags, second.on_failure) == (2, frozenset({"x"}), (Hook(notify),))


@both_kinds
def test_lists_are_copied_on_the_way_in(defaults: RunOptions) -> None:
    hooks, delays, tags = [notify], [1.0], ["x"]
    options = defaults.replace(on_running=hooks, retry_delay_seconds=delays, tags=tags)
    hooks.append(clean_up)
    delays.append(2.0)
    tags.append("y")
    assert (options.on_running, options.retry_delays, options.tags) == ((Hook(notify),), (1.0,), frozenset({"x"}))


@both_kinds
@pytest.mark.parametrize("event", HOOK_EVENTS)
def test_flows_and_tasks_have_each_list_of_hooks(defaults: RunOptions, event: str) -> None:
    options = defaults.replace(**{event: [notify]})
    assert options.hooks(event) == (Hook(notify),)
    assert options.has_hooks
    assert not defaults.has_hooks


@both_kinds
@pytest.mark.parametrize(
    ("option", "value", "error", "says"),
    [
        ("retries", -1, ValueError, "retries must be an integer of at least 0; got -1"),
        ("retries", 1.5, TypeError, "retries must be an integer of at least 0; got 1.5"),
        ("retries", True, TypeError, "retries must be an integer of at least 0; got True"),
        ("timeout_seconds", 0, ValueError, "timeout_seconds must be a number above 0, and finite; got 0"),
        ("timeout_seconds", -2, ValueError, "timeout_seconds must be a number above 0, and finite; got -2"),
        ("timeout_seconds", float("nan"), ValueError, "timeout_seconds must be a number above 0, and finite; got nan"),
        ("retry_delay_seconds", -1, ValueError, "retry_delay_seconds must be a number of at least 0"),
        ("retry_delay_seconds", [1, -1], ValueError, "retry_delay_seconds must be a number of at least 0"),
        ("retry_delay_seconds", "1", TypeError, "retry_delay_seconds must be a number of at least 0; got '1'"),
        ("retry_delay_seconds", negative_delays, ValueError, "retry_delay_seconds must be a number of at"),
        ("retry_delay_seconds", one_delay, TypeError, "must return a list of numbers; it returned 5"),
        (
            "retry_delay_seconds",
            no_retries,
            TypeError,
            "or a function of the retries; got 'no_retries()",
        ),
        ("retry_jitter_factor", -0.5, ValueError, "retry_jitter_factor must be a number of at least 0"),
        ("retry_condition_fn", 3, TypeError, "retry_condition_fn must be callable; got int"),
        ("retry_condition_fn", of_a_state, TypeError, "three positional arguments, (flow, flow_run, state) or"),
        ("name", " ", ValueError, "name must not be empty"),
        ("name", 3, TypeError, "name must be a string; got 3"),
        ("tags", "nightly", TypeError, "tags must be a list of strings; got 'nightly'"),
        ("tags", [1], TypeError, "tags must be a list of strings; got 1 in it"),
        ("log_prints", "yes", TypeError, "log_prints must be True or False; got 'yes'"),
        ("validate_parameters", 1, TypeError, "validate_parameters must be True or False; got 1"),
        ("on_failure", notify, TypeError, "Expected iterable for 'on_failure'; got function instead"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(
    defaults: RunOptions, option: str, value: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        defaults.replace(**{option: value})
    assert says in str(caught.value)


@both_kinds
def test_the_name_of_runs_is_a_template_or_a_plain_function(defaults: RunOptions) -> None:
    async def asynchronous() -> str:
        return ""

    option = f"{defaults.kind}_run_name"
    assert defaults.replace(**{option: "run-{x}"}).run_name == "run-{x}"
    assert defaults.replace(**{option: str}).run_name is str
    for wrong, error in ((3, TypeError), ("", ValueError), (asynchronous, TypeError), (of_a_state, TypeError)):
        with pytest.raises(error, match=f"^{option} must"):
            defaults.replace(**{option: wrong})


@both_kinds
def test_a_function_that_wants_the_parameters_is_told_where_they_are(defaults: RunOptions) -> None:
    option = f"{defaults.kind}_run_name"
    with pytest.raises(TypeError, match=rf"are in actwright\.runtime\.{defaults.kind}_run\.parameters\.$"):
        defaults.replace(**{option: of_a_state})


@pytest.mark.parametrize(
    "option",
    [
        "task_runner", "result_storage", "result_serializer", "cache_policy", "cache_key_fn", "cache_result_in_memory",
        "refresh_cache", "viz_return_value", "result_storage_key", "cache_expiration", "asset_deps", "on_rollback",
        "on_commit",
    ],
)  # fmt: skip
@both_kinds
def test_an_option_that_is_known_and_not_supported_says_what_to_do(defaults: RunOptions, option: str) -> None:
    with pytest.raises(UnsupportedOption, match=f"^@{defaults.kind} does not support '{option}'.*[A-Z].*\\.$"):
        defaults.replace(**{option: None})


def test_an_unknown_option_is_refused_with_the_closest_one() -> None:
    with pytest.raises(TypeError) as caught:
        TaskOptions().replace(retry_delay_second=1)
    assert str(caught.value) == (
        "@task does not know the option 'retry_delay_second'. Did you mean 'retry_delay_seconds'?"
    )


def test_an_option_like_no_other_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(TypeError, match=r"It knows: .*flow_run_name.*on_crashed.*timeout_seconds"):
        FlowOptions().replace(zzz=1)


def test_flows_and_tasks_do_not_take_the_name_option_of_each_other() -> None:
    with pytest.raises(TypeError, match="Did you mean 'flow_run_name'"):
        FlowOptions().replace(task_run_name="x")


@pytest.mark.parametrize(("keywords", "defaults"), [(FlowKeywords, FlowOptions()), (TaskKeywords, TaskOptions())])
def test_what_type_checkers_allow_is_what_is_taken(keywords: type, defaults: RunOptions) -> None:
    for option in keywords.__optional_keys__:  # type: ignore[attr-defined]
        assert defaults.replace(**{option: None}) == defaults.replace()


def test_an_option_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        FlowOptions().retries = 3  # type: ignore[misc]


def test_numbers_come_out_in_one_form() -> None:
    assert isinstance(seconds("x", 1), float)
    assert whole_number("x", 1) == 1
