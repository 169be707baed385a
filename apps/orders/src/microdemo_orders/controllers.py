"""The HTTP side. Static paths win over ``/{order_id}``, and no order may be called like one."""

import hashlib
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.response import Stream

from microdemo_core.auth import Principal, requires_admin, requires_user
from microdemo_core.bodies import encoded_response
from microdemo_core.clients import PeerUnavailable
from microdemo_core.conditional import IfNoneMatch, conditional_response, entity_tag
from microdemo_core.csv import csv_import_route, csv_response
from microdemo_core.db import Database, encoded_page_response
from microdemo_core.dependencies import Caller, Page
from microdemo_core.openapi import problems
from microdemo_orders import errors
from microdemo_orders.analytics import LONGEST_FORECAST, LONGEST_TIMESERIES, Analytics, Confidence
from microdemo_orders.changing import Changing
from microdemo_orders.forecast import Forecast, Method, Seasonality
from microdemo_orders.machine import UNDECIDED, SettableStatus
from microdemo_orders.placing import Placing
from microdemo_orders.reads import Filters, Reads
from microdemo_orders.repository import Orders
from microdemo_orders.schemas import NAME_PATTERN, Order, OrderCreate, OrderEvent, OrderUpdate, Summary, Timeseries
from microdemo_orders.transfer import EXPORTED, IMPORT_SECONDS, OrderImport, OrderImportReport, export_rows

__all__ = ("AnalyticsController", "OrderController", "TransferController")

ACCEPTED: Final = 202

_IdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key and body answer the first answer for 24 hours; another body is a 422.",
    ),
]
_Search = Annotated[str | None, QueryParameter(max_length=64, description="Part of an id or of a SKU.")]
_OwnerFilter = Annotated[int | None, QueryParameter(ge=0, le=2**63 - 1, description="An owner, for an admin.")]
_Day = date | None
_Request = Request[Principal, Any, Any]


class _Owned(msgspec.Struct, frozen=True):
    user_id: int


_owned = msgspec.json.Decoder(_Owned)


_SETTLING: Final = ResponseSpec(
    Order,
    generate_examples=False,
    description="Inventory has not answered in time. `Location` says `settling` until it is decided.",
)


class OrderController(Controller):
    tags = ("orders",)
    guards = (requires_user,)

    @get("/", summary="List orders", operation_id="list_orders")
    async def list_orders(
        self,
        request: _Request,
        reads: NamedDependency[Reads],
        page: Page,
        status: FromQuery[SettableStatus | None] = None,
        q: _Search = None,
        user_id: _OwnerFilter = None,
        begin: Annotated[_Day, QueryParameter(name="from", description="First day, in UTC.")] = None,
        end: Annotated[_Day, QueryParameter(name="to", description="Last day, in UTC.")] = None,
    ) -> Response[list[Order]]:
        """Newest first; one's own, or everybody's for an admin."""
        filters = Filters(
            status=status,
            q=q,
            user_id=user_id,
            since=_midnight(begin) if begin else None,
            until=_midnight(end + timedelta(days=1)) if end and end < date.max else None,
        )
        return encoded_page_response(request, page, await reads.page(_scope(request.user), page, filters))

    @post(
        "/",
        summary="Place an order",
        operation_id="create_order",
        responses={202: _SETTLING}
        | problems(
            errors.AdminsOnly,
            errors.AlreadyExists,
            errors.InsufficientStock,
            errors.PriceMismatch,
            errors.UnknownSku,
            errors.KeyReused,
            PeerUnavailable,
        ),
    )
    async def create_order(
        self,
        data: JSONBody[OrderCreate],
        placing: NamedDependency[Placing],
        principal: Caller,
        idempotency_key: _IdempotencyKey = None,
    ) -> Response[Order]:
        """202 where inventory has not answered in time: `Location` tells how it ends."""
        answer = await placing.place(principal, data, idempotency_key)
        headers = {"Location": answer.order_id}
        if answer.is_replay:
            headers["Idempotency-Replayed"] = "true"
        return encoded_response(answer.body, headers=headers, status_code=answer.status_code)

    @get(
        "/{order_id:str}",
        summary="Get an order",
        operation_id="get_order",
        responses=problems(errors.NoSuchOrder, errors.NotYourOrder),
    )
    async def get_order(
        self,
        order_id: FromPath[str],
        reads: NamedDependency[Reads],
        principal: Caller,
        if_none_match: IfNoneMatch = None,
    ) -> Response[Order]:
        order = await reads.order.encoded(_known(order_id))
        if order is None:
            raise errors.NoSuchOrder
        if not principal.may_act_for(_owned.decode(order).user_id):
            raise errors.NotYourOrder
        # Its version does not tell of settling; hashing 300 bytes takes 1 µs.
        return conditional_response(
            if_none_match, order, entity_tag(hashlib.blake2b(order, digest_size=12).hexdigest())
        )

    @put(
        "/{order_id:str}",
        summary="Change an order",
        operation_id="update_order",
        responses={202: _SETTLING}
        | problems(
            errors.NoSuchOrder,
            errors.NotYourOrder,
            errors.AdminsOnly,
            errors.IllegalTransition,
            errors.LinesAreFixed,
            errors.InsufficientStock,
            errors.PriceMismatch,
            errors.StillSettling,
            errors.UnknownSku,
        ),
    )
    async def update_order(
        self,
        order_id: FromPath[str],
        data: JSONBody[OrderUpdate],
        changing: NamedDependency[Changing],
        principal: Caller,
    ) -> Response[Order]:
        """An owner may cancel, and edit lines while it is pending. 202 where inventory has not answered in time."""
        order = await changing.update(principal, _known(order_id), data)
        body = msgspec.json.encode(order.shown())
        if order.saga in UNDECIDED:
            return encoded_response(body, headers={"Location": order.id}, status_code=ACCEPTED)
        return encoded_response(body)

    @delete(
        "/{order_id:str}",
        summary="Delete an order",
        operation_id="delete_order",
        responses=problems(errors.NoSuchOrder, errors.NotYourOrder, errors.StillSettling),
    )
    async def delete_order(
        self, order_id: FromPath[str], changing: NamedDependency[Changing], principal: Caller
    ) -> None:
        """Gives reserved stock back; sold stock stays sold, and the timeline stays readable."""
        await changing.delete(principal, _known(order_id))

    @get(
        "/{order_id:str}/timeline",
        summary="Get an order's timeline",
        operation_id="get_timeline",
        responses=problems(errors.NoSuchOrder, errors.NotYourOrder),
    )
    async def get_timeline(
        self, order_id: FromPath[str], database: NamedDependency[Database], principal: Caller
    ) -> list[OrderEvent]:
        """Oldest first; of deleted orders too."""
        async with database.unit_of_work(read_only=True) as work:
            order = await Orders(work).get(_known(order_id))
            if order is None:
                raise errors.NoSuchOrder
            if not principal.may_act_for(order.user_id):
                raise errors.NotYourOrder
            return [event.shown() for event in await Orders(work).events(order_id)]


class AnalyticsController(Controller):
    path = "/analytics"
    tags = ("analytics",)
    guards = (requires_user,)

    @get("/", summary="Counts and revenue", operation_id="get_analytics")
    async def get_analytics(self, analytics: NamedDependency[Analytics], principal: Caller) -> Response[Summary]:
        """Of one's own orders, or of all for an admin."""
        return encoded_response(await analytics.summary.encoded(_scope(principal)))

    @get("/timeseries", summary="Orders and revenue per day", operation_id="get_timeseries")
    async def get_timeseries(
        self,
        analytics: NamedDependency[Analytics],
        principal: Caller,
        days: Annotated[int, QueryParameter(description=f"Up to today: 1 to {LONGEST_TIMESERIES}, clamped.")] = 30,
    ) -> Response[Timeseries]:
        return encoded_response(
            await analytics.timeseries.encoded(_scope(principal), _clamped(days, LONGEST_TIMESERIES))
        )

    @get("/forecast", summary="Revenue to come", operation_id="get_forecast")
    async def get_forecast(
        self,
        analytics: NamedDependency[Analytics],
        principal: Caller,
        days: Annotated[int, QueryParameter(description=f"From today on: 1 to {LONGEST_FORECAST}, clamped.")] = 30,
        method: FromQuery[Method] = "auto",
        seasonality: FromQuery[Seasonality] = "auto",
        conf: Annotated[Confidence, QueryParameter(description="Of the interval.")] = "0.95",
    ) -> Response[Forecast]:
        """From the 90 days up to yesterday; `auto` takes what would have forecast them best."""
        days = _clamped(days, LONGEST_FORECAST)
        return encoded_response(await analytics.forecast.encoded(_scope(principal), days, method, seasonality, conf))


class TransferController(Controller):
    tags = ("csv",)

    @get(
        "/export/csv",
        summary="Export orders",
        operation_id="export_orders",
        guards=[requires_user],
        media_type="text/csv",
    )
    async def export_orders(self, database: NamedDependency[Database], principal: Caller) -> Stream:
        """One's own, or everybody's for an admin; newest first."""
        rows = export_rows(database, None if principal.is_admin else principal.user_id)
        return csv_response("orders.csv", EXPORTED, rows)

    @csv_import_route(
        "/import/csv",
        summary="Import orders",
        operation_id="import_orders",
        guards=[requires_admin],
        deadline_seconds=IMPORT_SECONDS,
    )
    async def import_orders(
        self,
        upload: NamedDependency[UploadFile],
        order_import: NamedDependency[OrderImport],
        dry_run: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    ) -> OrderImportReport:
        """The columns of the export, matched by id. Pending and processing orders reserve stock, others take none."""
        return await order_import.run(upload, dry_run=dry_run)


def _scope(principal: Principal) -> str:
    return "all" if principal.is_admin else str(principal.user_id)


def _clamped(days: int, most: int) -> int:
    return min(max(days, 1), most)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _known(order_id: str) -> str:
    """Raises: NoSuchOrder, for what can be no order's id."""
    if not re.search(NAME_PATTERN, order_id):
        raise errors.NoSuchOrder
    return order_id
