"""What ``@cached`` refuses when the module is imported, and the keys it makes."""

import enum
import uuid
from datetime import date
from itertools import combinations
from typing import Any

import pytest
from msgspec import Struct

from microdemo_core.cache import Cache, cached, format_key


class Holder:
    cache: Cache


def test_an_unknown_name_is_refused() -> None:
    """The template names no argument of the function."""
    with pytest.raises(TypeError, match="user_id"):

        @cached("t:{user_id}", ttl_seconds=1)
        async def read(holder: Holder, item_id: int) -> int:
            return item_id


def test_an_argument_outside_the_key_is_refused() -> None:
    """Two calls that differ in it would share an answer."""
    with pytest.raises(TypeError, match="limit"):

        @cached("t:{skip}", ttl_seconds=1)
        async def read(holder: Holder, skip: int, limit: int) -> int:
            return skip + limit


def test_an_argument_may_be_said_to_make_no_difference() -> None:
    """``ignore`` names a session, say."""

    @cached("t:{skip}", ttl_seconds=1, ignore=["session"])
    async def read(holder: Holder, session: object, skip: int) -> int:
        return skip

    assert read.key(object(), 3) == read.key("another", 3) == "t:3"


def test_an_argument_may_be_in_the_namespace_alone() -> None:
    """Both parts make the key."""
    with pytest.raises(TypeError, match="user_id"):

        @cached("t:{skip}", ttl_seconds=1)
        async def read(holder: Holder, user_id: int, skip: int) -> int:
            return skip


def test_int_or_str_is_refused() -> None:
    """7 and "7" would be one key."""
    with pytest.raises(TypeError, match="two values"):

        @cached("t:{ref}", ttl_seconds=1)
        async def read(holder: Holder, ref: int | str) -> int:
            return 1


def test_variable_arguments_are_refused() -> None:
    """They have no names to stand in a key."""
    with pytest.raises(TypeError, match="ids"):

        @cached("t:{ids}", ttl_seconds=1)
        async def read(holder: Holder, *ids: int) -> int:
            return 1


@pytest.mark.parametrize(
    "template", ["t:{a}{b}", "t:{a}-{b}", "t:{a!r}:{b}", "t:{a:>3}:{b}", "t:{a.x}:{b}", "t:{}:{b}"]
)
def test_a_template_that_could_mix_up_calls_is_refused(template: str) -> None:
    """A colon between values, and nothing but names in braces."""
    with pytest.raises(ValueError, match="'t:"):
        format_key(template, a=1, b=2)


def test_a_negative_ttl_belongs_to_reads_that_may_find_nothing() -> None:
    """It must be said for ``... | None``, and only there."""
    with pytest.raises(TypeError, match="negative_ttl_seconds"):

        @cached("t:{a}", ttl_seconds=1)
        async def maybe(holder: Holder, a: int) -> int | None:
            return a

    with pytest.raises(TypeError, match="negative_ttl_seconds"):

        @cached("t:{a}", ttl_seconds=1, negative_ttl_seconds=1)
        async def surely(holder: Holder, a: int) -> int:
            return a


def test_a_type_that_json_cannot_hold_is_refused() -> None:
    """The decoder is built at import."""
    with pytest.raises(TypeError):

        @cached("t:{a}", ttl_seconds=1)
        async def read(holder: Holder, a: int) -> dict[tuple[int, int], complex] | type[int]:
            return {}


class Color(enum.StrEnum):
    RED = "red"


def test_different_values_make_different_keys() -> None:
    """Over text that imitates separators, quotes and markers, and over the other kinds."""
    values: list[Any] = ["", "a", "a:b", "a%3Ab", "a%253Ab", "~null", "%7Enull", "~true", "~", None, True, False, 7, -7]
    values += [uuid.UUID(int=1), date(2026, 1, 2), "ä", "a\x00", "a ", " a", "A"]
    keys = {format_key("t:{x}:{y}", x=x, y=y) for x in values for y in values}
    assert len(keys) == len(values) ** 2
    for left, right in combinations(["a", "b:c", "a:b", "c"], 2):
        assert format_key("t:{x}:{y}", x=left, y=right) != format_key("t:{x}:{y}", x=right, y=left)
    assert format_key("t:{x}", x=Color.RED) == "t:red"


class Search(Struct, frozen=True, omit_defaults=True):
    q: str | None = None
    user_id: int | None = None


def test_a_struct_is_part_of_a_key_by_its_fields() -> None:
    """Equal ones make one key; none of them can be mistaken for a text or for another one's neighbour."""
    values: list[Any] = [Search(), Search("a"), Search("a:~"), Search(user_id=7), Search("7"), "{}", "~{}", None]
    keys = {format_key("t:{x}:{y}", x=x, y=y) for x in values for y in values}
    assert len(keys) == len(values) ** 2
    assert all(key.count(":") == 2 for key in keys)
    assert format_key("t:{x}", x=Search("a")) == format_key("t:{x}", x=Search("a", None))


@pytest.mark.parametrize("value", [1.5, b"bytes", [1], object()])
def test_a_value_without_one_spelling_is_refused(value: object) -> None:
    """Floats, lists and objects cannot be part of a key."""
    with pytest.raises(TypeError, match="cache key"):
        format_key("t:{x}", x=value)


def test_the_read_keeps_its_name_and_docstring() -> None:
    """The decorated function is still itself to those who look."""

    @cached("t:{a}", ttl_seconds=1)
    async def read(holder: Holder, a: int) -> int:
        """One."""
        return a

    assert (read.__name__, read.__doc__) == ("read", "One.")  # type: ignore[attr-defined]  # by update_wrapper
