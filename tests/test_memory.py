"""When garbage is collected: new objects at any time, all objects when the server is idle."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from web.gc_policy import FULL_WHEN_BUSY_S, FULL_WHEN_IDLE_S, Collector


class Node:
    """Something that can refer to itself."""

    me: Node | None = None


@pytest.fixture
def collector() -> Iterator[Collector]:
    threshold = gc.get_threshold()
    collector = Collector()
    collector.begin()
    yield collector
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_new_garbage_is_found_under_load(collector: Collector) -> None:
    node = Node()
    node.me, left = node, weakref.ref(node)
    del node

    collector.collect(1.0, idle=False)
    assert left() is None


def old_garbage(collector: Collector) -> weakref.ref[Node]:
    """A cycle whose object has survived a collection."""
    node = Node()
    collector.collect(1.0, idle=False)
    node.me = node
    return weakref.ref(node)


def test_old_garbage_is_found_when_there_is_time(collector: Collector) -> None:
    left = old_garbage(collector)

    collector.collect(2.0, idle=False)
    assert left() is not None  # Otherwise everything would have been collected.
    collector.collect(FULL_WHEN_IDLE_S, idle=True)
    assert left() is None


def test_old_garbage_is_found_at_last_where_there_never_is_time(collector: Collector) -> None:
    left = old_garbage(collector)

    collector.collect(2.0 + FULL_WHEN_BUSY_S, idle=False)
    assert left() is None


def test_a_server_that_stays_idle_collects_no_more(collector: Collector) -> None:
    collector.collect(1.0, idle=False)
    collector.collect(FULL_WHEN_IDLE_S, idle=True)
    collections = sum(one["collections"] for one in gc.get_stats())

    collector.collect(2 * FULL_WHEN_IDLE_S, idle=True)
    assert sum(one["collections"] for one in gc.get_stats()) == collections
