"""What can be wrong with a request for items.

NotFound                    Conflict
└── UnknownItem             ├── SkuTaken
                            ├── SkuInUse             reserved or sold: orders know it by this name
                            ├── StockReserved        an item that orders hold pieces of is not deleted
                            └── QuantityOutOfRange   an adjustment below zero, or beyond what is counted
"""

from microdemo_core.problems import Conflict, NotFound

__all__ = ("QuantityOutOfRange", "SkuInUse", "SkuTaken", "StockReserved", "UnknownItem")


class UnknownItem(NotFound):
    """There is no such item."""

    def __init__(self, item: int | str) -> None:
        super().__init__(f"There is no item {item}.")


class SkuTaken(Conflict):
    """Another item has this SKU."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"The SKU {sku} exists already.", sku=sku)


class SkuInUse(Conflict):
    """Orders have reserved or bought pieces under this SKU, so it is not renamed."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"Orders know {sku} by this name, so it cannot be renamed.", sku=sku)


class StockReserved(Conflict):
    """Orders hold pieces of the item, so it is not deleted."""

    def __init__(self, sku: str, held: int) -> None:
        pieces = "1 piece" if held == 1 else f"{held} pieces"
        super().__init__(f"Orders still hold {pieces} of {sku}, so it cannot be deleted.", sku=sku, held=held)


class QuantityOutOfRange(Conflict):
    """The adjustment would leave less than nothing, or more than can be counted."""

    def __init__(self, sku: str, available: int, delta: int) -> None:
        change = f"taking {-delta}" if delta < 0 else f"adding {delta}"
        super().__init__(
            f"{sku} has {available} available, so {change} is not possible.", sku=sku, available=available, delta=delta
        )
