"""Pairing: equal ones first, then the most alike; and no two with one."""

from __future__ import annotations

from cometreel.verify.notification_comparison import Pairs, Similarity, pair


def alike(recorded: str, live: str) -> Pairs:
    """Notifications as words: a letter that differs is a difference, upper case is another channel."""

    def compare(number: int, each: int) -> Similarity:
        one, other = recorded.split()[number], live.split()[each]
        differences = sum(a != b for a, b in zip(one.lower(), other.lower(), strict=True))
        return Similarity(differences, len(one), one.isupper() == other.isupper())

    return pair(len(recorded.split()), len(live.split()), compare)


def test_equal_ones_are_paired_in_order() -> None:
    assert alike("aaaa bbbb aaaa", "bbbb aaaa aaaa") == Pairs({0: 1, 1: 0, 2: 2})


def test_then_the_most_alike() -> None:
    assert alike("aaaa aaab", "aaac aabb") == Pairs({0: 0, 1: 1})


def test_an_equal_one_is_never_given_away_to_one_that_is_alike() -> None:
    assert alike("aaab aaaa", "aaaa") == Pairs({1: 0}, missing=[0])


def test_what_is_too_different_is_missing_and_extra() -> None:
    assert alike("aaaa", "bbbb") == Pairs(missing=[0], extra=[0])


def test_another_channel_must_be_more_alike() -> None:
    assert alike("aaaa", "AABB") == Pairs(missing=[0], extra=[0])
    assert alike("aaaa", "AAAB") == Pairs({0: 0})
    assert alike("aaaa", "aabb") == Pairs({0: 0})


def test_what_repeats_a_paired_one_is_doubled() -> None:
    assert alike("aaaa bbbb", "aaaa aaaa bbbb aaaa") == Pairs({0: 0, 1: 2}, doubled={0: [1, 3]})
