"""The HTTP side of items. Static paths win over ``/{item_id}``, which takes numbers only."""

import re
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from microdemo_core.auth import Principal, requires_admin, requires_user
from microdemo_core.bodies import encoded_response
from microdemo_core.conditional import IfMatch, IfNoneMatch, StaleVersion, conditional_response
from microdemo_core.csv import (
    ImportReport,
    csv_import_route,
    csv_response,
    read_upload,
)
from microdemo_core.db import Database, encoded_page_response, page_response
from microdemo_core.dependencies import Caller, Page, Work
from microdemo_core.openapi import problems
from microdemo_inventory.analytics import Analytics
from microdemo_inventory.catalogue import Catalogue
from microdemo_inventory.errors import QuantityOutOfRange, SkuInUse, SkuTaken, StockReserved, UnknownItem
from microdemo_inventory.repository import LedgerRepository, StockFilter
from microdemo_inventory.schemas import (
    Adjustment,
    AdjustmentCreate,
    InventoryItem,
    ItemCreate,
    ItemUpdate,
    Summary,
)
from microdemo_inventory.stock import Stock
from microdemo_inventory.transfer import EXPORTED, IMPORT_SECONDS, ItemRow, StockImport, export_rows
from microdemo_inventory.values import SKU_PATTERN

__all__ = ("AnalyticsController", "ItemController", "TransferController")

_BIGGEST_ID: Final = 2**63 - 1

_Id = Annotated[int, PathParameter(ge=-_BIGGEST_ID, le=_BIGGEST_ID, description="The item's id.")]
_Search = Annotated[str | None, QueryParameter(max_length=100, description="Part of a SKU or of a name.")]
_Stock = Annotated[StockFilter | None, QueryParameter(description="out: none left; low: 1 to 19; ok: 20 or more.")]

_Request = Request[Principal, Any, Any]


class ItemController(Controller):
    tags = ("items",)
    guards = (requires_user,)

    @get("/", summary="List items", operation_id="list_items")
    async def list_items(
        self,
        request: _Request,
        catalogue: NamedDependency[Catalogue],
        page: Page,
        q: _Search = None,
        stock: _Stock = None,
    ) -> Response[list[InventoryItem]]:
        return encoded_page_response(request, page, await catalogue.page(page, q, stock))

    @get("/{item_id:int}", summary="Get an item", operation_id="get_item", responses=problems(UnknownItem))
    async def get_item(
        self, item_id: _Id, catalogue: NamedDependency[Catalogue], if_none_match: IfNoneMatch = None
    ) -> Response[InventoryItem]:
        item = await catalogue.item(item_id)
        if item is None:
            raise UnknownItem(item_id)
        return conditional_response(if_none_match, item, item.tag)

    @get(
        "/by-sku/{sku:str}",
        summary="Get an item by its SKU",
        operation_id="get_item_by_sku",
        responses=problems(UnknownItem),
    )
    async def get_item_by_sku(
        self, sku: FromPath[str], catalogue: NamedDependency[Catalogue], if_none_match: IfNoneMatch = None
    ) -> Response[InventoryItem]:
        # What can be no SKU is looked up nowhere.
        item = await catalogue.item_by_sku(sku) if re.search(SKU_PATTERN, sku) else None
        if item is None:
            raise UnknownItem(sku)
        return conditional_response(if_none_match, item, item.tag)

    @post(
        "/",
        summary="Create an item",
        operation_id="create_item",
        guards=[requires_admin],
        responses=problems(SkuTaken),
    )
    async def create_item(self, data: JSONBody[ItemCreate], items: NamedDependency[Stock]) -> Response[InventoryItem]:
        item = await items.create(data)
        return Response(item, headers={"Location": str(item.id), "ETag": item.tag})

    @put(
        "/{item_id:int}",
        summary="Change an item",
        operation_id="update_item",
        guards=[requires_admin],
        responses=problems(UnknownItem, SkuTaken, SkuInUse, StaleVersion),
    )
    async def update_item(
        self, item_id: _Id, data: JSONBody[ItemUpdate], items: NamedDependency[Stock], if_match: IfMatch = None
    ) -> Response[InventoryItem]:
        """Fields that are absent stay as they are. A changed quantity is written to the ledger as a difference."""
        return _changed(await items.update(item_id, data, if_match=if_match))

    @delete(
        "/{item_id:int}",
        summary="Delete an item",
        operation_id="delete_item",
        guards=[requires_admin],
        responses=problems(UnknownItem, StockReserved, StaleVersion),
    )
    async def delete_item(self, item_id: _Id, items: NamedDependency[Stock], if_match: IfMatch = None) -> None:
        await items.delete(item_id, if_match=if_match)

    @post(
        "/{item_id:int}/adjustments",
        summary="Adjust the stock",
        operation_id="adjust_item",
        guards=[requires_admin],
        responses=problems(UnknownItem, QuantityOutOfRange),
    )
    async def adjust_item(
        self, item_id: _Id, data: JSONBody[AdjustmentCreate], items: NamedDependency[Stock]
    ) -> Response[InventoryItem]:
        """Adds ``delta`` pieces to what is available, or takes them, and answers the item."""
        return _changed(await items.adjust(item_id, data))

    @get(
        "/{item_id:int}/adjustments",
        summary="List an item's ledger",
        operation_id="list_adjustments",
        guards=[requires_admin],
    )
    async def list_adjustments(
        self, request: _Request, item_id: _Id, uow: Work, page: Page
    ) -> Response[list[Adjustment]]:
        """Newest first. It outlives its item, so an id without entries answers an empty list."""
        found = await LedgerRepository(session=uow.session).page(page, item_id=item_id)
        return page_response(request, page, found, Adjustment)


class AnalyticsController(Controller):
    path = "/analytics"
    tags = ("analytics",)
    guards = (requires_user,)

    @get("/", summary="Stock counts", operation_id="get_analytics")
    async def get_analytics(self, analytics: NamedDependency[Analytics]) -> Response[Summary]:
        return encoded_response(await analytics.summary.encoded())


class TransferController(Controller):
    tags = ("csv",)

    @get(
        "/export/csv",
        summary="Export items",
        operation_id="export_items",
        guards=[requires_user],
        media_type="text/csv",
    )
    async def export_items(self, database: NamedDependency[Database]) -> Stream:
        return csv_response("inventory.csv", EXPORTED, export_rows(database))

    @csv_import_route(
        "/import/csv",
        summary="Import items",
        operation_id="import_items",
        guards=[requires_admin],
        deadline_seconds=IMPORT_SECONDS,
    )
    async def import_items(
        self,
        upload: NamedDependency[UploadFile],
        database: NamedDependency[Database],
        principal: Caller,
        dry_run: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    ) -> ImportReport:
        """Columns sku, qty, name?, price?. Items are matched by SKU; an empty cell leaves what is stored."""
        reader = await read_upload(upload, ItemRow)
        return await StockImport(database, by=principal.user_id).run(reader, dry_run=dry_run)


def _changed(item: InventoryItem) -> Response[InventoryItem]:
    return Response(item, headers={"ETag": item.tag})
