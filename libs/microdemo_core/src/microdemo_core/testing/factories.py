"""polyfactory's factories, seeded: the same data at every run."""

from typing import TypeVar

from advanced_alchemy.base import ModelProtocol
from msgspec import Struct
from polyfactory.factories.msgspec_factory import MsgspecFactory
from polyfactory.factories.sqlalchemy_factory import SQLAlchemyFactory

__all__ = ("ModelFactory", "StructFactory")

S = TypeVar("S", bound=Struct)
M = TypeVar("M", bound=ModelProtocol)


class StructFactory(MsgspecFactory[S]):
    """For request and answer structs; keeps to their constraints."""

    __is_base_factory__ = True
    __random_seed__ = 20_250


class ModelFactory(SQLAlchemyFactory[M]):
    """For rows; ids and times are the database's to give."""

    __is_base_factory__ = True
    __random_seed__ = 20_250
    __set_primary_key__ = False
    __set_relationships__ = False
