"""A struct's fields as the columns of a file: how a cell becomes a value, and in plain words what it should be.

Text columns keep their cells as they are; all others ignore blanks around them. A field that is a list, a dict or a
struct reads JSON. Constraints in ``msgspec.Meta`` hold, and ``Meta(examples=[...])`` ends up in the error's sentence.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Any, Final

import msgspec
from msgspec import inspect

from microdemo_core.patterns import in_words

__all__ = ("CellError", "Column", "columns_of")

_SHOWN_CHARACTERS: Final = 40
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_BOOLEANS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# A number with more digits than this is a mistake, or an attempt to keep the arithmetic behind it busy.
_DECIMAL_DIGITS: Final = 30


class CellError(ValueError):
    """The reason, as a sentence about the cell."""


class Column(msgspec.Struct, frozen=True):
    """``name`` is what the header says, ``field`` the struct's attribute, ``expected`` a noun phrase."""

    name: str
    field: str
    required: bool
    expected: str
    keeps_empty: bool
    parse: Callable[[str], Any]

    def value(self, cell: str) -> Any:
        """Raises: CellError. An empty cell of an optional column never gets here."""
        if not cell and not self.keeps_empty:
            raise CellError(f"this is empty; it should be {self.expected}")
        try:
            return self.parse(cell)
        except CellError:
            raise
        except (ValueError, ArithmeticError):  # what msgspec, int and Decimal raise for text they cannot read
            problem = f"{_shown(cell)} is not" if cell else "this is empty; it should be"
            raise CellError(f"{problem} {self.expected}") from None


@lru_cache(maxsize=64)
def columns_of(schema: type[msgspec.Struct]) -> tuple[Column, ...]:
    info = inspect.type_info(schema)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - narrows what the signature promises
    types = {field.name: field.type for field in msgspec.structs.fields(schema)}
    return tuple(_column(field, types[field.name]) for field in info.fields)


def _column(field: inspect.Field, annotation: Any) -> Column:
    leaves = list(_leaves(field.type))
    kinds = {type(leaf) for leaf in leaves}
    return Column(
        name=field.encode_name,
        field=field.name,
        required=field.required,
        expected=_expected(leaves, field.type, in_words(annotation)),
        keeps_empty=bool(kinds & _TEXT),
        parse=_parser(kinds, annotation),
    )


def _leaves(info: inspect.Type) -> Iterator[inspect.Type]:
    """The types a value may have, without None, UNSET and annotations."""
    if isinstance(info, inspect.Metadata):
        yield from _leaves(info.type)
    elif isinstance(info, inspect.UnionType):
        for member in info.types:
            yield from _leaves(member)
    elif not isinstance(info, inspect.NoneType):
        yield info


_TEXT: Final[set[type[inspect.Type]]] = {inspect.StrType, inspect.AnyType}
_SCALARS: Final[set[type[inspect.Type]]] = {
    inspect.BoolType,
    inspect.DateTimeType,
    inspect.DateType,
    inspect.DecimalType,
    inspect.EnumType,
    inspect.FloatType,
    inspect.IntType,
    inspect.LiteralType,
    inspect.TimeDeltaType,
    inspect.TimeType,
    inspect.UUIDType,
}
# Only these read text loosely: a date read loosely takes "5" for five seconds after 1970.
_LOOSE: Final[set[type[inspect.Type]]] = {inspect.FloatType, inspect.IntType, inspect.EnumType, inspect.LiteralType}


def _parser(kinds: set[type[inspect.Type]], annotation: Any) -> Callable[[str], Any]:
    if kinds & _TEXT:
        return partial(msgspec.convert, type=annotation)
    if kinds - _SCALARS:
        return _json_parser(annotation)
    strict = not kinds & _LOOSE
    for kind, parse in _PARSERS.items():
        if kind in kinds:
            return partial(parse, annotation, strict)
    return partial(_scalar, annotation, strict)


def _scalar(annotation: Any, strict: bool, cell: str) -> Any:  # noqa: FBT001 - called through partial
    return msgspec.convert(cell.strip(), annotation, strict=strict)


def _boolean(annotation: Any, strict: bool, cell: str) -> Any:  # noqa: FBT001
    word = cell.strip().lower()
    return _BOOLEANS[word] if word in _BOOLEANS else _scalar(annotation, strict, cell)


def _integer(annotation: Any, strict: bool, cell: str) -> Any:  # noqa: FBT001
    # Leading zeros and a plus sign are numbers to a person, but not to msgspec.
    text = cell.strip()
    return msgspec.convert(int(text) if _INTEGER.fullmatch(text) else text, annotation, strict=strict)


def _number(annotation: Any, strict: bool, cell: str) -> Any:  # noqa: FBT001
    value = _scalar(annotation, strict, cell.strip().removeprefix("+"))
    if isinstance(value, float | Decimal):
        if not math.isfinite(value):
            raise ValueError
        if isinstance(value, Decimal) and ("_" in cell or _digits(value) > _DECIMAL_DIGITS):
            raise ValueError
    return value


_PARSERS: Final[dict[type[inspect.Type], Callable[[Any, bool, str], Any]]] = {
    inspect.BoolType: _boolean,
    inspect.DecimalType: _number,
    inspect.FloatType: _number,
    inspect.IntType: _integer,
}


def _digits(value: Decimal) -> int:
    """Written out without an exponent, before and after the point."""
    _, digits, exponent = value.as_tuple()
    return max(len(digits), abs(int(exponent)), len(digits) + int(exponent))


def _json_parser(annotation: Any) -> Callable[[str], Any]:
    decoder = msgspec.json.Decoder(annotation)

    def parse(cell: str) -> Any:
        if "\\u0000" in cell:
            raise CellError("this holds a NUL character (\\u0000), which cannot be stored")
        try:
            return decoder.decode(cell)
        except msgspec.ValidationError as error:
            raise CellError(f"this JSON has not the right content: {_lower_first(str(error))}") from None
        except RecursionError:
            raise CellError("this JSON is nested too deeply") from None

    return parse


def _expected(leaves: list[inspect.Type], info: inspect.Type, words: Mapping[str, str]) -> str:
    phrases = list(dict.fromkeys(_phrase(leaf, words) for leaf in leaves))
    examples = list(_examples(info))
    return " or ".join(phrases) + (f", for example {examples[0]}" if examples else "")


def _examples(info: inspect.Type) -> Iterator[Any]:
    if isinstance(info, inspect.Metadata):
        yield from (info.extra_json_schema or {}).get("examples", ())
        yield from _examples(info.type)
    elif isinstance(info, inspect.UnionType):
        for member in info.types:
            yield from _examples(member)


def _phrase(leaf: inspect.Type, words: Mapping[str, str]) -> str:
    match leaf:
        case inspect.StrType(min_length=low, max_length=high, pattern=pattern):
            form = f" of the form {pattern}" if pattern else ""
            return words.get(pattern or "", f"text{_length(low, high)}{form}")
        case inspect.IntType():
            return f"a whole number{_range(leaf)}"
        case inspect.FloatType():
            return f"a number{_range(leaf)}"
        case inspect.EnumType(cls=cls):
            return _one_of([member.value for member in cls if isinstance(member, Enum)])
        case inspect.LiteralType(values=values):
            return _one_of(list(values))
    return _PHRASES.get(type(leaf), "JSON")


_PHRASES: Final[dict[type[inspect.Type], str]] = {
    inspect.AnyType: "text",
    inspect.BoolType: "true or false (or yes, no, 1, 0)",
    inspect.DateTimeType: "a date and time such as 2026-01-31T09:30:00Z",
    inspect.DateType: "a date such as 2026-01-31",
    inspect.DecimalType: "a number such as 9.90",
    inspect.TimeDeltaType: "a duration such as PT90S",
    inspect.TimeType: "a time such as 09:30:00",
    inspect.UUIDType: "a UUID",
}


def _one_of(values: list[Any]) -> str:
    return str(values[0]) if len(values) == 1 else f"one of {', '.join(map(str, values))}"


def _length(low: int | None, high: int | None) -> str:
    if low and high:
        return f" of {low} to {high} characters"
    if high:
        return f" of at most {high} characters"
    return f" of at least {low} character{'s' if low > 1 else ''}" if low else ""


def _range(leaf: inspect.IntType | inspect.FloatType) -> str:
    if leaf.ge is not None and leaf.le is not None:
        return f" from {leaf.ge:,} to {leaf.le:,}"
    bounds = ((" of at least", leaf.ge), (" above", leaf.gt), (" of at most", leaf.le), (" below", leaf.lt))
    return " and".join(f"{word} {bound:,}" for word, bound in bounds if bound is not None)


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= _SHOWN_CHARACTERS else cell[: _SHOWN_CHARACTERS - 1] + "…")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
