"""``inventory`` serves, ``inventory migrate`` migrates."""

from microdemo_core.cli import run
from microdemo_inventory.app import MIGRATIONS, create_app
from microdemo_inventory.settings import InventorySettings


def main() -> None:
    run("inventory", create_app, InventorySettings, MIGRATIONS)


if __name__ == "__main__":
    main()
