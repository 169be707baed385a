"""Engine, unit of work, base models, lists and migrations."""

from microdemo_core.db.database import Database, Invalidator, UnitOfWork, create_engine
from microdemo_core.db.migrations import Migrations
from microdemo_core.db.models import IdentityBase, Timestamps
from microdemo_core.db.paging import (
    MAX_LIMIT,
    Listing,
    PageRequest,
    fetch_page,
    page_headers,
    page_response,
    provide_page,
)

__all__ = (
    "MAX_LIMIT",
    "Database",
    "IdentityBase",
    "Invalidator",
    "Listing",
    "Migrations",
    "PageRequest",
    "Timestamps",
    "UnitOfWork",
    "create_engine",
    "fetch_page",
    "page_headers",
    "page_response",
    "provide_page",
)
