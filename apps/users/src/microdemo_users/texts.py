"""Names, addresses and preferences as they are stored, or a 422 that says what is wrong with them."""

import re
from typing import Any, Final

import msgspec

from microdemo_core.problems import Invalid

__all__ = ("clean_email", "clean_name", "clean_preferences", "is_email")

# One @ with something on both sides. Whether mail arrives there only a mail can tell.
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f-\x9f]+@[^@\s\x00-\x1f\x7f-\x9f]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_PREFERENCES_BYTES: Final = 16 * 2**10
_PREFERENCES_KEY_CHARACTERS: Final = 64
_PREFERENCES_DEPTH: Final = 32


def clean_name(text: str) -> str:
    """Raises: Invalid, with the field ``name``."""
    name = text.strip()
    if not name:
        raise Invalid.field("name", "give a name, not only blanks")
    if _CONTROL.search(name):
        raise Invalid.field("name", "leave out line breaks and other control characters")
    return name


def clean_email(text: str) -> str:
    """As given, without blanks around it. Raises: Invalid, with the field ``email``."""
    email = text.strip()
    if not is_email(email):
        raise Invalid.field("email", "give an address such as bob@example.com")
    return email


def is_email(text: str) -> bool:
    return _EMAIL.fullmatch(text) is not None


def clean_preferences(preferences: dict[str, Any]) -> dict[str, Any]:
    """Raises: Invalid, with the field ``preferences``, for what is too large, too deep, or not for jsonb: a NUL."""
    waiting: list[tuple[int, object]] = [(1, preferences)]
    while waiting:
        depth, value = waiting.pop()
        if depth > _PREFERENCES_DEPTH:
            raise Invalid.field("preferences", f"nest them at most {_PREFERENCES_DEPTH} levels deep")
        match value:
            case str() if "\0" in value:
                raise Invalid.field("preferences", "leave out NUL characters (\\u0000)")
            case dict():
                if any(len(key) > _PREFERENCES_KEY_CHARACTERS for key in value):
                    raise Invalid.field("preferences", f"keep keys within {_PREFERENCES_KEY_CHARACTERS} characters")
                waiting += ((depth + 1, part) for pair in value.items() for part in pair)
            case list():
                waiting += ((depth + 1, item) for item in value)
    if len(msgspec.json.encode(preferences)) > _PREFERENCES_BYTES:
        raise Invalid.field("preferences", "keep them within 16 KiB of JSON")
    return preferences
