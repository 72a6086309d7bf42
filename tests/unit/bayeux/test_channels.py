"""Channel names: kinds, validity, and which patterns match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.bayeux import canonical, is_broadcast, is_meta, is_service, is_valid, is_wild, matches, patterns_of

SEGMENTS = st.lists(st.text("abc", min_size=1, max_size=2), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "channel", "matched"),
    [
        ("/a/b", "/a/b", True),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/*", "/a", False),
        ("/a/**", "/a/b", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/a", False),
        ("/**", "/a", True),
        ("/**", "/a/b/c", True),
        ("/*", "/a", True),
        ("/*", "/a/b", False),
        ("/a/b", "/a/c", False),
        ("/a/*", "/ab/c", False),
    ],
)
def test_star_matches_one_segment_and_two_stars_any_number(pattern: str, channel: str, matched: bool) -> None:
    assert matches(pattern, channel) is matched


def test_the_most_specific_pattern_of_a_channel_is_first() -> None:
    assert patterns_of("/a/b/c") == ("/a/b/*", "/a/b/**", "/a/**", "/**")
    assert patterns_of("/a") == ("/*", "/**")


@given(SEGMENTS)
def test_each_pattern_of_a_channel_matches_it(segments: list[str]) -> None:
    channel = "/" + "/".join(segments)
    assert all(matches(pattern, channel) and is_wild(pattern) for pattern in patterns_of(channel))


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        (" /a/b ", "/a/b"),
        ("/foo bar", "/foo bar"),
        ("/a/*", "/a/*"),
        ("/**", "/**"),
        ("", None),
        ("/", None),
        ("//", None),
        ("a", None),
        ("/a//b", None),
        ("/a/*/b", None),
        ("/**/b", None),
    ],
)
def test_a_name_has_one_spelling_or_is_invalid(name: str, spelt: str | None) -> None:
    assert canonical(name) == spelt
    assert is_valid(name) is (spelt is not None)


@pytest.mark.parametrize(
    ("channel", "kinds"),
    [("/meta/connect", (True, False, False)), ("/service/x", (False, True, False)), ("/metal", (False, False, True))],
)
def test_kinds_of_channels(channel: str, kinds: tuple[bool, bool, bool]) -> None:
    assert (is_meta(channel), is_service(channel), is_broadcast(channel)) == kinds
