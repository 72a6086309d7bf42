"""What the stream tells beside the calls: each part when it has changed, and never at the cost of the replay."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from cometreel.engine import Backend, Control
from cometreel.scenario import loads
from cometreel.serve.admin.events import MAX_ITEMS, ChangeFeed
from cometreel.wire import Request
from tests.serve.conftest import SCENARIO

PARTS = ["run", "settings", "exchanges", "overview", "sessions", "unplayed", "faults"]


class Looking:
    """A replay, a glance at it, and a clock that each look at it moves by `costs`."""

    def __init__(self, text: str = SCENARIO) -> None:
        self.now, self.costs = 100.0, 0.0
        self.control = Control(Backend(loads(text)))
        self.glance = ChangeFeed(self.control, lambda _: datetime(2026, 1, 1, tzinfo=UTC), "run 1", self.clock)

    def clock(self) -> float:
        self.now += self.costs
        return self.now

    def ask(self, number: int) -> None:
        self.control._backend.receive(Request(number, "GET", "/api/v2/page"), 0.0)

    def told(self) -> dict[str, object]:
        events = [event.decode().splitlines() for event in self.glance.changes()]
        return {event.removeprefix("event: "): json.loads(data.removeprefix("data: ")) for event, data, _ in events}


def test_first_everything_is_told_and_then_what_has_changed():
    looking = Looking()
    assert [*looking.told()] == PARTS
    looking.now += 0.5
    assert looking.told() == {}
    looking.ask(1)
    looking.now += 0.5
    assert [*looking.told()] == ["overview", "sessions", "unplayed"]


def test_it_rests_between_two_looks():
    looking = Looking()
    looking.told()
    looking.ask(1)
    assert (looking.told(), looking.glance.seconds()) == ({}, 0.5)
    looking.now += 0.5
    assert [*looking.told()] == ["overview", "sessions", "unplayed"]


def test_a_look_that_takes_long_is_followed_by_a_rest_of_twenty_times_as_long():
    looking = Looking()
    looking.costs = 1.0
    looking.told()
    looking.costs = 0.0
    assert looking.glance.seconds() == 20.0


def test_a_large_replay_is_told_in_part():
    exchanges = "".join(f"  - {{name: e{n}, request: {{method: GET, path: /e{n}}}}}\n" for n in range(MAX_ITEMS + 1))
    looking = Looking(f"cometreel: 1\nexchanges:\n{exchanges}")
    for number in range(MAX_ITEMS + 2):
        looking.ask(number)
    told = looking.told()
    lengths = {name: len(value) for name, value in told.items() if isinstance(value, list)}
    assert lengths == {"exchanges": MAX_ITEMS, "sessions": MAX_ITEMS, "unplayed": MAX_ITEMS, "faults": 0}
    overview = told["overview"]
    assert isinstance(overview, dict)
    assert (overview["sessions"], overview["unplayed"]) == (MAX_ITEMS + 2, MAX_ITEMS + 1)
