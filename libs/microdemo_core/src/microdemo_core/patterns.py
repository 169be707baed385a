"""What a text with a pattern should be, in words: the ``description`` beside the pattern in ``msgspec.Meta``.

    Sku = Annotated[str, Meta(pattern=r"^[A-Z0-9-]{1,64}$", description="1 to 64 capitals, digits and dashes")]

A regular expression is no sentence for a person, and msgspec's errors have nothing else to say.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from msgspec import inspect

__all__ = ("in_words",)


@lru_cache(maxsize=256)
def in_words(annotation: Any) -> dict[str, str]:
    """The descriptions of all patterns anywhere in this type, by pattern. Empty for what msgspec does not know."""
    try:
        return dict(_described(inspect.type_info(annotation), set()))
    except TypeError:
        return {}


def _described(info: Any, seen: set[type]) -> Iterator[tuple[str, str]]:
    match info:
        case inspect.Metadata(
            type=inspect.StrType(pattern=str(pattern)), extra_json_schema={"description": str(words)}
        ):
            yield pattern, words
        case inspect.StructType(cls=cls) if cls in seen:
            return
        case inspect.StructType(cls=cls, fields=fields):
            seen.add(cls)
            for field in fields:
                yield from _described(field.type, seen)
        case inspect.UnionType(types=types):
            for member in types:
                yield from _described(member, seen)
        case inspect.DictType(key_type=key, value_type=value):
            yield from _described(key, seen)
            yield from _described(value, seen)
        case inspect.Metadata(type=inner) | inspect.CollectionType(item_type=inner):
            yield from _described(inner, seen)
