"""Events for changes of the replay's state: each part when it has changed, without slowing the replay."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from cometreel.engine import Backend, Control
from cometreel.scenario import loads
from cometreel.serve.admin.events import MAX_ITEMS, ChangeFeed
from cometreel.wire import Request
from tests.serve.conftest import SCENARIO

PARTS = ["run", "settings", "exchanges", "overview", "sessions", "unplayed", "given_up", "faults"]


class PolledFeed:
    """A replay, its change feed, and a clock that each read advances by `costs`."""

    def __init__(self, text: str = SCENARIO) -> None:
        self.now, self.costs = 100.0, 0.0
        self.control = Control(Backend(loads(text)))
        self.feed = ChangeFeed(self.control, lambda _: datetime(2026, 1, 1, tzinfo=UTC), "run 1", self.clock)

    def clock(self) -> float:
        self.now += self.costs
        return self.now

    def ask(self, number: int) -> None:
        self.control._backend.receive(Request(number, "GET", "/api/v2/page"), 0.0)

    def changes(self) -> dict[str, object]:
        events = [event.decode().splitlines() for event in self.feed.changes()]
        return {event.removeprefix("event: "): json.loads(data.removeprefix("data: ")) for event, data, _ in events}


def test_all_parts_are_sent_first_and_then_changed_ones():
    polled = PolledFeed()
    assert [*polled.changes()] == PARTS
    polled.now += 0.5
    assert polled.changes() == {}
    polled.ask(1)
    polled.now += 0.5
    assert [*polled.changes()] == ["overview", "sessions", "unplayed"]


def test_there_is_a_minimum_time_between_two_reads():
    polled = PolledFeed()
    polled.changes()
    polled.ask(1)
    assert (polled.changes(), polled.feed.seconds()) == ({}, 0.5)
    polled.now += 0.5
    assert [*polled.changes()] == ["overview", "sessions", "unplayed"]


def test_after_a_slow_read_the_next_one_is_twenty_times_as_late():
    polled = PolledFeed()
    polled.costs = 1.0
    polled.changes()
    polled.costs = 0.0
    assert polled.feed.seconds() == 20.0


def test_events_of_a_large_replay_are_truncated():
    exchanges = "".join(f"  - {{name: e{n}, request: {{method: GET, path: /e{n}}}}}\n" for n in range(MAX_ITEMS + 1))
    polled = PolledFeed(f"cometreel: 1\nexchanges:\n{exchanges}")
    for number in range(MAX_ITEMS + 2):
        polled.ask(number)
    changes = polled.changes()
    lengths = {name: len(value) for name, value in changes.items() if isinstance(value, list)}
    assert lengths == {
        "exchanges": MAX_ITEMS,
        "sessions": MAX_ITEMS,
        "unplayed": MAX_ITEMS,
        "given_up": 0,
        "faults": 0,
    }
    overview = changes["overview"]
    assert isinstance(overview, dict)
    assert (overview["sessions"], overview["unplayed"]) == (MAX_ITEMS + 2, MAX_ITEMS + 1)
