"""The accounts that everybody knows, and those of a scale test's customers, who are many and cannot sign in."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

__all__ = ("ADMIN", "BOB", "PASSWORD", "PEOPLE", "Person", "Shopper", "shoppers")

PASSWORD: Final = "password123"  # noqa: S105 - published in the README; a production's environment is refused

_HOURS: Final = (9, 17, 12, 20, 7, 14)


class Person(Struct, frozen=True):
    """``id`` is the account's; ``days`` tells how many days ago it was opened."""

    id: int
    name: str
    email: str
    days: int
    role: str = "user"
    is_active: bool = True
    preferences: dict[str, str] = {}

    def signed_up(self, anchor: datetime) -> datetime:
        return anchor - timedelta(days=self.days, hours=_HOURS[self.id % len(_HOURS)], minutes=self.id)


class Shopper(Struct, frozen=True):
    """A customer without a password."""

    name: str
    email: str
    signed_up: datetime


def _person(id_: int, name: str, days: int, *, is_active: bool = True, **preferences: str) -> Person:
    email = f"{name.lower().replace(' ', '.')}@example.com"
    return Person(id_, name, email, days, is_active=is_active, preferences=preferences)


ADMIN: Final = Person(1, "Ada Admin", "admin@test.com", 240, role="admin", preferences={"theme": "dark"})
BOB: Final = Person(2, "Bob Baker", "bob@example.com", 235, preferences={"theme": "light", "language": "en"})

PEOPLE: Final = (
    ADMIN,
    BOB,
    _person(3, "Carol Nguyen", 200, theme="dark"),
    _person(4, "Daniel Okafor", 180),
    _person(5, "Elena Petrova", 165, language="de"),
    _person(6, "Farid Haddad", 150),
    _person(7, "Greta Lindqvist", 140, is_active=False),
    _person(8, "Hiro Tanaka", 130, theme="dark", language="ja"),
    _person(9, "Ines Carvalho", 120),
    _person(10, "Jonas Weber", 110, language="de"),
    _person(11, "Keisha Brown", 98),
    _person(12, "Liam Murphy", 90, is_active=False),
    _person(13, "Mei Chen", 80, theme="light"),
    _person(14, "Noor Rahman", 70),
    _person(15, "Olivia Rossi", 62, language="it"),
    _person(16, "Pavel Novak", 55),
    _person(17, "Quinn Taylor", 47),
    _person(18, "Rosa Jimenez", 40, is_active=False),
    _person(19, "Samir Patel", 33, theme="dark"),
    _person(20, "Tessa de Vries", 26),
    _person(21, "Umar Siddiqui", 20),
    _person(22, "Valerie Dubois", 13, language="fr"),
    _person(23, "Wojciech Zielinski", 6),
    _person(24, "Xenia Papadaki", 4),
    _person(25, "Yusuf Demir", 1),
)

_EARLIER: Final = timedelta(days=20)


def shoppers(first_number: int, count: int, opens: datetime, closes: datetime) -> list[Shopper]:
    """``count`` customers, numbered from ``first_number`` on, who sign up one after the other until ``closes``."""
    first_names = [person.name.split()[0] for person in PEOPLE]
    last_names = [person.name.split()[-1] for person in PEOPLE]
    began = opens - _EARLIER
    pace = (closes - began) / count
    return [
        Shopper(
            f"{first_names[number % 25]} {last_names[number // 25 % 25]}",
            f"shopper-{number}@example.com",
            began + pace * (number - first_number),
        )
        for number in range(first_number, first_number + count)
    ]
