"""What a console shows beside the calls, as server-sent events: each part again when it has changed.

The replay comes first: after a look it rests for at least twenty times as long as the look took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from cometreel.engine import Control
from cometreel.jsonvalue import JSON, encode
from cometreel.serve import admin_facts as facts
from cometreel.serve.admin_facts import Moment

__all__ = ["MOST", "Glance"]

MOST = 500
"""How many sessions, exchanges and unplayed ones are told at most: a page for people shows no more."""

REST = 0.5  # seconds between two looks at least
_SHARE = 20


class Glance:
    """Looks at a replay now and then. `began` names the run, so that a page notices that another one answers."""

    def __init__(self, control: Control, moment: Moment, began: str, clock: Callable[[], float] = time.monotonic):
        self._control, self._moment, self._clock = control, moment, clock
        self._told: dict[str, bytes] = {}
        self._due = clock()
        self._began = began

    def seconds(self) -> float:
        """How long it rests until its next look."""
        return max(0.0, self._due - self._clock())

    def changes(self) -> Iterator[bytes]:
        """Yield an event for each part that has changed since it was told, if it is time to look."""
        looked = self._clock()
        if looked < self._due:
            return
        for name, value in self._parts():
            data = encode(value)
            if self._told.get(name) != data:
                self._told[name] = data
                yield b"event: %s\ndata: %s\n\n" % (name.encode(), data)
        now = self._clock()
        self._due = now + max(REST, _SHARE * (now - looked))

    def _parts(self) -> Iterator[tuple[str, JSON]]:
        control = self._control
        yield "run", {"began": self._began}
        yield "settings", facts.settings_facts(control)
        yield "exchanges", [exchange.name for exchange in control.scenario.exchanges[:MOST]]
        yield "overview", facts.overview(control)
        yield "sessions", [facts.session_facts(one, self._moment) for one in control.latest_sessions(MOST)]
        yield "unplayed", [*control.unplayed[:MOST]]
        yield "faults", [facts.fault_facts(fault) for fault in control.faults]
