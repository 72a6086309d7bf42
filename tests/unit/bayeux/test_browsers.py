"""Sessions and held polls by browser cookie."""

from __future__ import annotations

from cometreel.bayeux.browsers import Browsers


def test_held_polls_are_counted_per_transport_up_to_the_limit() -> None:
    browsers = Browsers()
    assert [browsers.hold("b", "long-polling", 2) for _ in range(3)] == [True, True, False]
    assert browsers.hold("b", "callback-polling", 1)
    assert browsers.hold("other", "long-polling", 1)
    browsers.release("b", "long-polling")
    assert [browsers.hold("b", "long-polling", 2) for _ in range(2)] == [True, False]


def test_limit_0_holds_no_poll_and_a_negative_limit_any_number() -> None:
    browsers = Browsers()
    assert not browsers.hold("b", "long-polling", 0)
    assert all(browsers.hold("b", "long-polling", -1) for _ in range(9))


def test_sessions_are_listed_oldest_first_and_removed_completely() -> None:
    browsers = Browsers()
    for client_id in "cab":
        browsers.join("b", client_id)
    browsers.leave("b", "a")
    browsers.leave("unknown", "a")
    assert browsers.sessions("b") == ("c", "b")
    for client_id in "cb":
        browsers.leave("b", client_id)
    assert (browsers.sessions("b"), browsers._sessions) == ((), {})


def test_a_browser_without_a_held_poll_is_not_kept() -> None:
    browsers = Browsers()
    browsers.hold("b", "long-polling", 1)
    for _ in range(2):
        browsers.release("b", "long-polling")
        assert browsers._held == {}
