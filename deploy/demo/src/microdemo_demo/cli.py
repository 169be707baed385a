"""``microdemo-demo [--orders N]``: loads the demo data into the three databases that the environment names."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import asyncpg

from microdemo_demo.batches import DEFAULT_ORDERS, MOST_ORDERS
from microdemo_demo.environment import connect, redis_url
from microdemo_demo.errors import DemoError
from microdemo_demo.seeding import Seeder

__all__ = ("main",)

_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Answers the exit code: 0, 1 after one sentence on stderr, or 130 after Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        added = asyncio.run(_seed(arguments.orders))
    except DemoError as error:
        print(f"microdemo-demo: {error}", file=sys.stderr)
        return 1
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        print(f"microdemo-demo: a database failed ({error}); the next run goes on from here.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("microdemo-demo: interrupted; the next run goes on from here.", file=sys.stderr)
        return _INTERRUPTED
    print(f"orders: {added:,} added" if added else "The demo data is there; nothing was added.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("microdemo-demo", description="Loads microdemo's demo data; what is there stays.")
    parser.add_argument(
        "--orders",
        type=_count,
        default=DEFAULT_ORDERS,
        metavar="N",
        help=f"how many of the demo's orders there are to be, for tests of scale (default and least: {DEFAULT_ORDERS})",
    )
    return parser


def _count(text: str) -> int:
    count = int(text.replace("_", "").replace(",", ""))
    if not 0 <= count <= MOST_ORDERS:
        raise argparse.ArgumentTypeError(f"at most {MOST_ORDERS:,}")
    return count


async def _seed(orders: int) -> int:
    redis = redis_url()
    async with connect() as databases:
        seeder = Seeder(databases, partial(print, flush=True), redis_url=redis)
        return await seeder.seed(orders, datetime.now(UTC))


if __name__ == "__main__":
    sys.exit(main())
