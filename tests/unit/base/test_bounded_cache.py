"""Caches of values that clients choose are limited by the size of their entries."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cometreel.bayeux import AllowAll, BayeuxServer, BayeuxSettings
from cometreel.bounded_cache import BoundedCache
from cometreel.http_fields import cached_headers, field_text, headers_size
from cometreel.scenario.normalized_request import _ENTRY_SIZE, _PARSED_SIZE, form_of, normalize_path, normalize_request
from cometreel.wire import Headers, Request


def test_the_oldest_entries_are_dropped_above_the_limit():
    cache: BoundedCache[str, int] = BoundedCache(1000)
    for number in range(200):
        cache.put(str(number), number, 10)
    assert [cache.get(str(number)) for number in (0, 99, 100, 199)] == [None, None, 100, 199]


def test_an_entry_that_is_large_for_the_cache_is_not_kept():
    cache: BoundedCache[str, int] = BoundedCache(1000)
    cache.put("large", 1, 11)
    cache.put("small", 2, 10)
    assert (cache.get("large"), cache.get("small")) == (None, 2)


def test_a_replaced_entry_counts_once():
    cache: BoundedCache[str, int] = BoundedCache(1000)
    for number in range(200):
        cache.put("same", number, 10)
    cache.put("other", 1, 10)
    assert (cache.get("same"), cache.get("other")) == (199, 1)


def test_equal_fields_give_the_same_headers():
    assert cached_headers(((b"Host", b"x"),)) is cached_headers(((b"Host", b"x"),))
    assert cached_headers(((b"Content-Encoding", b"br"),), decoded=True) != cached_headers(
        ((b"Content-Encoding", b"br"),)
    )


@contextmanager
def growth() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the memory in bytes that was allocated since and is still used."""
    tracemalloc.start()
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]

    def measure() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before

    yield measure
    tracemalloc.stop()


def a_request(number: int, path: str = "/x", query: str = "", body: bytes = b"", head: str = "") -> None:
    headers = Headers([("X", head)])
    for _ in range(3):  # the header fields of an equal request are kept when they come again
        normalize_request(Request(number, "POST", path, query, headers, body))


SERVER = BayeuxServer(BayeuxSettings(), AllowAll(), str)
HOSTILE: dict[str, tuple[int, Callable[[int], object]]] = {
    "heads of 50 kB": (1000, lambda n: cached_headers(((b"X", b"%050000d" % n),))),
    "heads of 4 kB": (10_000, lambda n: cached_headers(((b"X", b"%04000d" % n),))),
    "heads of 1000 fields": (150, lambda n: cached_headers(tuple((b"%d" % n, b"%d" % k) for k in range(1000)))),
    "paths of 60 kB": (1000, lambda n: field_text(b"%060000d" % n)),
    "normalised paths of 60 kB": (1000, lambda n: normalize_path(f"/{n:060000}")),
    "forms of 60 kB": (1000, lambda n: form_of(b"a=%060000d" % n)),
    "paths below an endpoint": (1000, lambda n: SERVER.handles(f"/{n:060000}")),
    "requests with a path of 60 kB": (1000, lambda n: a_request(n, f"/{n:060000}")),
    "requests with a head of 5 kB": (20_000, lambda n: a_request(n, f"/{n}", head=f"{n:05000}")),
    "equal requests with other heads of 60 kB": (1000, lambda n: a_request(n, "/equal", head=f"{n:060000}")),
    "requests with a query of 60 kB": (1000, lambda n: a_request(n, query=f"a={n:060000}")),
}


@pytest.mark.parametrize(("times", "hostile"), HOSTILE.values(), ids=HOSTILE.keys())
def test_no_client_can_fill_the_memory_through_a_cache(times: int, hostile: Callable[[int], object]):
    with growth() as measure:
        for number in range(times):
            hostile(number)
        assert measure() < 100_000_000


PARSED: dict[str, tuple[str, bytes]] = {
    "empty lists": ("", b"[%d" + b",[]" * 1300 + b"]"),
    "empty objects": ("", b"[%d" + b",{}" * 1300 + b"]"),
    "objects with one member": ("", b"[%d" + b',{"":1}' * 500 + b"]"),
    "numbers": ("", b"[%d" + b",1.5" * 1000 + b"]"),
    "a query of many names": ("a" + "".join(f"&{number}" for number in range(800)), b"%d"),
}


@pytest.mark.parametrize(("query", "body"), PARSED.values(), ids=PARSED.keys())
def test_the_estimated_size_of_a_cached_request_is_not_too_low(query: str, body: bytes):
    with growth() as measure:
        for number in range(20):
            a_request(number, "/estimate", query, body % number)
        estimated = _ENTRY_SIZE + _PARSED_SIZE * (len(query) + len(body)) + headers_size([("X", "")])
        assert measure() / 20 < estimated
