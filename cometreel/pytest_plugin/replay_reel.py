"""A scenario that is played in this process, and what a test may ask of it while it is. Knows no pytest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cometreel.engine import Calls, Control, FaultInfo, ReplaySettings, Responder
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import Exchange, Scenario
from cometreel.serve import replay_app, serve_in_background

__all__ = ["ReplayReel"]


class ReplayReel:
    """One replay on a thread of its own. Every method may be called from any thread, greenlet or coroutine."""

    def __init__(self, scenario: Scenario, settings: ReplaySettings) -> None:
        self._served = serve_in_background(replay_app(scenario, settings))
        self._control = Control(self._served.backend)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._served.url

    @property
    def calls(self) -> Calls:
        """What was asked so far."""
        return self._served.call(lambda: self._control.calls)

    def unanswered(self) -> tuple[Calls, Calls]:
        """What nothing answered, and what failed."""
        return self._served.call(lambda: (self._control.unmatched, self._control.failed))

    def unplayed(self) -> Sequence[Exchange]:
        """The exchanges that nobody asked for."""
        names = self._served.call(lambda: self._control.unplayed)
        return [self._control.scenario.by_name[name] for name in names]

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> None:
        """Send a notification."""

        def order() -> None:
            self._served.driver.apply(
                lambda now: self._control.push(channel, data, now=now, session=session, user=user, ext=ext)
            )

        self._served.call(order)

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Put a fault in force."""
        return self._served.call(lambda: self._control.arm(fault, session=session))

    def register(self, responder: Responder) -> None:
        """Ask this responder before the scenario."""
        self._served.call(lambda: self._served.backend.register(responder))

    def stop(self) -> None:
        """Stop listening; held polls are answered."""
        self._served.stop()
