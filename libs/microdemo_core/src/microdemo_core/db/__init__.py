"""Engine, unit of work, base models, lists and migrations."""

from microdemo_core.db.database import Database, Invalidator, UnitOfWork, create_engine
from microdemo_core.db.migrations import Migrations
from microdemo_core.db.models import IdentityBase, Timestamps
from microdemo_core.db.paging import (
    MAX_LIMIT,
    EncodedListing,
    Listing,
    PageRequest,
    encoded_page_response,
    fetch_page,
    page_response,
    provide_page,
)

__all__ = (
    "MAX_LIMIT",
    "Database",
    "EncodedListing",
    "IdentityBase",
    "Invalidator",
    "Listing",
    "Migrations",
    "PageRequest",
    "Timestamps",
    "UnitOfWork",
    "create_engine",
    "encoded_page_response",
    "fetch_page",
    "page_response",
    "provide_page",
)
