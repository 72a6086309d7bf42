"""The index of subscriptions, and how long channels exist."""

from __future__ import annotations

from cometreel.bayeux.subscriptions import Subscriptions


def test_each_recipient_is_listed_once_pattern_subscribers_first() -> None:
    index = Subscriptions()
    index.add("leaf", "/a/b")
    index.add("deep", "/**")
    index.add("both", "/a/b")
    index.add("both", "/a/*")
    assert index.recipients("/a/b") == ("both", "deep", "leaf")
    assert index.recipients("/c") == ("deep",)


def test_a_subscription_that_was_added_twice_is_removed_once() -> None:
    index = Subscriptions()
    assert [index.add("c", "/a"), index.add("c", "/a")] == [True, False]
    assert [index.remove("c", "/a", 0.0), index.remove("c", "/a", 0.0)] == [True, False]
    assert index.of("c") == frozenset()


def test_forget_removes_all_subscriptions_of_a_session() -> None:
    index = Subscriptions()
    index.add("c", "/a")
    index.add("c", "/b/*")
    index.forget("c", 0.0)
    assert (index.recipients("/a"), index.receives("c", "/b/x"), index._by_channel, index._by_client) == (
        (),
        False,
        {},
        {},
    )


def test_a_channel_exists_until_three_seconds_after_its_last_subscription() -> None:
    index = Subscriptions()
    assert not index.exists("/a", 0.0)
    index.add("c", "/a")
    assert index.exists("/a", 100.0)
    index.remove("c", "/a", 100.0)
    assert index.exists("/a", 103.0)
    assert not index.exists("/a", 103.1)


def test_unused_channels_are_removed() -> None:
    index = Subscriptions()
    for second in range(1000):
        index.use(f"/{second}", float(second))
    assert len(index._used) < 6


def test_a_channel_in_constant_use_does_not_keep_unused_ones() -> None:
    index = Subscriptions()
    for second in range(1000):
        index.use("/always", float(second))
        index.use(f"/{second}", float(second))
    assert len(index._used) < 7
