"""Cached reads with Redis there."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from microdemo_core.cache import Cache, format_key

from .conftest import Item, Items, Source, until

pytestmark = pytest.mark.anyio


def count(read: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("microdemo_cache_requests_total", {"read": read, "outcome": outcome}) or 0


async def test_a_second_read_is_a_hit(items: Items, source: Source) -> None:
    """The source is asked once, and both answers are the same."""
    before = count("test:item:{item_id}", "miss"), count("test:item:{item_id}", "hit")
    assert await items.get(1) == Item(1, "one")
    assert await items.get(1) == Item(1, "one")
    assert source.loads["get"] == 1
    assert (count("test:item:{item_id}", "miss"), count("test:item:{item_id}", "hit")) == (before[0] + 1, before[1] + 1)


async def test_arguments_by_name_and_by_default_make_the_same_key(items: Items, source: Source) -> None:
    """However a call is written, it is one entry."""
    await items.page()
    await items.page(0)
    await items.page(limit=10)
    await items.page(skip=0, limit=10)
    assert source.loads["page"] == 1
    await items.page(limit=11)
    assert source.loads["page"] == 2


async def test_wrong_arguments_are_refused_even_on_a_hit(items: Items) -> None:
    """A call that the function would not take raises TypeError."""
    await items.get(1)
    with pytest.raises(TypeError):
        await items.get(1, 2)  # type: ignore[call-arg]  # that is the point
    with pytest.raises(TypeError):
        await items.get()  # type: ignore[call-arg]  # that is the point


async def test_absence_is_remembered(items: Items, source: Source, redis: Redis) -> None:
    """None is kept too, for its own shorter time."""
    assert await items.get(9) is None
    assert await items.get(9) is None
    assert source.loads["get"] == 1
    assert 4_000 - 500 <= await redis.pttl("test:item:9") <= 6_000
    assert count("test:item:{item_id}", "negative") >= 1


async def test_absence_is_not_remembered_where_it_must_not_be(items: Items, source: Source) -> None:
    """``negative_ttl_seconds=0`` asks again each time."""
    assert await items.get_if_there(9) is None
    assert await items.get_if_there(9) is None
    assert source.loads["get_if_there"] == 2


async def test_lives_are_jittered(items: Items, redis: Redis) -> None:
    """Fifty entries filled together live 24 to 36 s, and not all equally long."""
    for limit in range(50):
        await items.page(0, limit)
    lives = [await redis.pttl(f"test:page:0:{limit}") for limit in range(50)]
    assert all(24_000 - 5_000 <= life <= 36_000 for life in lives)
    assert max(lives) - min(lives) > 3_000


async def test_encoded_bytes_come_as_they_lie_there(items: Items, source: Source) -> None:
    """``encoded`` is the JSON on a miss and on a hit, and None for what is not there."""
    assert await items.get.encoded(1) == b'{"id":1,"name":"one"}'
    assert await items.get.encoded(1) == b'{"id":1,"name":"one"}'
    assert await items.get.encoded(9) is None
    assert await items.get.encoded(9) is None
    assert await items.page.encoded(1, 1) == b'[{"id":2,"name":"two"}]'
    assert source.loads["get"] == 2


async def test_a_deleted_entry_is_loaded_again(items: Items, source: Source, cache: Cache) -> None:
    """After the delete the next read sees what the source says now."""
    await items.get(1)
    source.items[1] = Item(1, "uno")
    await cache.delete(Items.get.key(1))
    assert await items.get(1) == Item(1, "uno")


async def test_a_namespace_forgets_all_its_pages(items: Items, source: Source, cache: Cache) -> None:
    """One bump and every page is loaded again; other entries stay."""
    await items.page(0, 1)
    await items.page(0, 2)
    await items.get(1)
    source.items[1] = Item(1, "uno")
    await cache.bump("test:items")
    assert await items.page(0, 1) == [Item(1, "uno")]
    assert (await items.page(0, 2))[0] == Item(1, "uno")
    assert await items.get(1) == Item(1, "one")


async def test_an_evicted_namespace_brings_nothing_back(
    items: Items, source: Source, cache: Cache, redis: Redis
) -> None:
    """When its version is lost, what was filled before a bump stays forgotten."""
    await items.page()
    source.items[1] = Item(1, "uno")
    await cache.bump("test:items")
    await redis.delete("test:items")
    assert (await items.page())[0] == Item(1, "uno")


async def test_keys_and_namespaces_go_together(items: Items, source: Source, cache: Cache) -> None:
    """What a unit of work calls after its commit forgets both."""
    await items.get(1)
    await items.page()
    source.items[1] = Item(1, "uno")
    await cache.invalidate(["test:item:1"], ["test:items"])
    assert await items.get(1) == Item(1, "uno")
    assert (await items.page())[0] == Item(1, "uno")


@pytest.mark.parametrize("garbage", [b"", b"junk", b"V\n", b"V\n{", b'V\n{"id":"x"}', b"V\n[]", b"Vother\n{}"])
async def test_a_corrupt_entry_is_replaced(items: Items, source: Source, redis: Redis, garbage: bytes) -> None:
    """What cannot be decoded is loaded again, once, and the next read is a hit."""
    await redis.set("test:item:1", garbage)
    assert await items.get(1) == Item(1, "one")
    assert await items.get(1) == Item(1, "one")
    assert source.loads["get"] == 1


async def test_an_error_leaves_nothing_behind(items: Items, source: Source, redis: Redis) -> None:
    """The caller gets the source's own error, and the next read asks the source again."""
    source.error = RuntimeError("no database")
    with pytest.raises(RuntimeError, match="no database"):
        await items.get(1)
    source.error = None
    assert await items.get(1) == Item(1, "one")
    assert await items.get(1) == Item(1, "one")
    assert source.loads["get"] == 2
    assert await redis.get("test:item:1") == b'V\n{"id":1,"name":"one"}'


async def test_a_load_from_before_a_commit_is_not_stored(items: Items, source: Source, redis: Redis) -> None:
    """A reader that saw the old row, and is overtaken by a writer's delete, does not fill."""
    source.answers.clear()
    reader = asyncio.create_task(items.get(1))
    await until(lambda: source.loads["get"])
    source.items[1] = Item(1, "uno")
    await items.cache.delete(Items.get.key(1))
    source.answers.set()
    assert await reader == Item(1, "one")
    assert await redis.get("test:item:1") is None
    assert await items.get(1) == Item(1, "uno")


async def test_a_page_from_before_a_bump_is_not_served(items: Items, source: Source) -> None:
    """The same for lists: it is filled under the version from before the load, which nobody asks for any more."""
    source.answers.clear()
    reader = asyncio.create_task(items.page())
    await until(lambda: source.loads["page"])
    source.items[1] = Item(1, "uno")
    await items.cache.bump("test:items")
    source.answers.set()
    assert (await reader)[0] == Item(1, "one")
    assert (await items.page())[0] == Item(1, "uno")


async def test_one_process_fills_at_a_time(items: Items, elsewhere: Items, source: Source, redis: Redis) -> None:
    """While one process holds the lease, another's miss is loaded and not stored."""
    source.answers.clear()
    holder = asyncio.create_task(items.get(1))
    await until(lambda: source.loads["get"] == 1)
    lease = await redis.get("test:item:1")
    assert isinstance(lease, bytes)
    assert lease.startswith(b"L")
    other = asyncio.create_task(elsewhere.get(1))
    await until(lambda: source.loads["get"] == 2)
    assert await redis.get("test:item:1") == lease
    source.answers.set()
    assert await holder == await other == Item(1, "one")
    assert await redis.get("test:item:1") == b'V\n{"id":1,"name":"one"}'


async def test_user_text_cannot_reach_another_key(items: Items, redis: Redis) -> None:
    """Names full of separators, wildcards and escapes each get an entry of their own."""
    names = [
        "a",
        "a:b",
        "a%3Ab",
        "a b",
        "",
        "~null",
        "ä",
        "*",
        "a\nb",
        "{x}",
        "é",
        "e\u0301",
        "../a",
        "test:items",
        None,
    ]
    for name in names:
        await items.named(name)
    assert len(await redis.keys("test:named:*")) == len(names)
    assert format_key("test:named:{name}", name="a:b") == Items.named.key("a:b") == "test:named:a%3Ab"
