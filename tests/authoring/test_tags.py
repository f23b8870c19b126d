from __future__ import annotations

import anyio
import pytest

from actwright.authoring.tags import current_tags, normalise_tags, tags


def test_blocks_add_up_and_end() -> None:
    assert current_tags() == frozenset()
    with tags("a", "b") as outer:
        with tags("b", "c") as inner:
            assert current_tags() == inner == {"a", "b", "c"}
        assert current_tags() == outer == {"a", "b"}
    assert current_tags() == frozenset()


def test_a_block_ends_when_its_body_raises() -> None:
    with pytest.raises(ZeroDivisionError), tags("a"):
        _ = 1 / 0
    assert current_tags() == frozenset()


def test_one_block_may_be_entered_again_inside_itself() -> None:
    block = tags("a")
    with block, block:
        assert current_tags() == {"a"}
    assert current_tags() == frozenset()


def test_a_decorated_function_runs_inside_the_block_and_keeps_its_name() -> None:
    @tags("a")
    def fn(x: int) -> tuple[int, frozenset[str]]:
        return x, current_tags()

    assert fn(1) == (1, frozenset({"a"}))
    assert fn.__name__ == "fn"
    assert current_tags() == frozenset()


@pytest.mark.anyio
async def test_a_decorated_async_function_has_its_tags_until_it_returns() -> None:
    @tags("a")
    async def fn() -> frozenset[str]:
        await anyio.lowlevel.checkpoint()
        return current_tags()

    coroutine = fn()
    assert current_tags() == frozenset()
    assert await coroutine == {"a"}


@pytest.mark.anyio
async def test_tasks_that_run_at_once_do_not_see_each_other_s_tags() -> None:
    seen: dict[str, frozenset[str]] = {}
    both_inside = {"a": anyio.Event(), "b": anyio.Event()}

    @tags("both")
    async def run(own: str, other: str) -> None:
        with tags(own):
            both_inside[own].set()
            await both_inside[other].wait()
            seen[own] = current_tags()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(run, "a", "b")
            group.start_soon(run, "b", "a")
    assert seen == {"a": {"both", "a"}, "b": {"both", "b"}}


def test_what_is_no_tag_is_refused() -> None:
    with pytest.raises(TypeError, match="tags must be a list of strings; got 3 in it"):
        tags("a", 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="got 'nightly'"):
        normalise_tags("tags", "nightly")
