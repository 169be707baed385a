"""What tests of the saga share: a driver of their own, and what it left in the timeline."""

import httpx

from microdemo_orders.settling import Settler
from microdemo_orders.stock import Stock

from .conftest import RunningOrders

Headers = dict[str, str]
ONE = {"items": [{"sku": "SKU-1", "quantity": 1}], "id": "ORD-1"}


def settler(orders: RunningOrders) -> Settler:
    kernel = orders.kernel
    return Settler(kernel.database, Stock(kernel.peers["inventory"], kernel.signer))


async def events(client: httpx.AsyncClient, order_id: str, headers: Headers) -> list[str]:
    answer = await client.get(f"/{order_id}/timeline", headers=headers)
    assert answer.status_code == 200, answer.text
    return [event["event_type"] for event in answer.json()]
