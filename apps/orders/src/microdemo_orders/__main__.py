"""``orders`` serves, ``orders migrate`` brings the schema up to date."""

from microdemo_core.cli import run
from microdemo_orders.app import MIGRATIONS, create_app
from microdemo_orders.settings import OrdersSettings

__all__ = ("main",)


def main() -> None:
    run("orders", create_app, OrdersSettings, MIGRATIONS)


if __name__ == "__main__":
    main()
