"""The replay behind the `reel` fixture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cometreel.engine import Calls, Control, FaultInfo, GivenUpEvent, ReplaySettings, Responder
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.scenario import CompiledScenario, Exchange
from cometreel.serve import replay_app, serve_in_background

__all__ = ["ReplayReel"]


class ReplayReel:
    """A replay server on its own thread. Its methods may be called from any thread, greenlet or coroutine."""

    def __init__(self, scenario: CompiledScenario, settings: ReplaySettings) -> None:
        self._server = serve_in_background(replay_app(scenario, settings))
        self._control = Control(self._server.backend)

    @property
    def url(self) -> str:
        """The URL of the server."""
        return self._server.url

    @property
    def calls(self) -> Calls:
        """The calls so far."""
        return self._server.call(lambda: self._control.calls)

    def unmatched_and_failed(self) -> tuple[Calls, Calls]:
        """Return the unmatched calls, and those whose response could not be rendered."""
        return self._server.call(lambda: (self._control.unmatched, self._control.failed))

    def unplayed(self) -> Sequence[Exchange]:
        """Return the exchanges that were not played."""
        names = self._server.call(lambda: self._control.unplayed)
        return [self._control.scenario.by_name[name] for name in names]

    def undelivered(self) -> tuple[Sequence[GivenUpEvent], Mapping[int, int]]:
        """Return the notifications that no client gets, and the number that wait for a client, by session."""
        given_up, sessions = self._server.call(lambda: (self._control.given_up, self._control.sessions))
        return given_up, {session.number: session.waiting for session in sessions if session.waiting}

    def push(self, channel: str, data: JSON, session: int | None, user: str | None, ext: JSONObject | None) -> None:
        """Send a notification."""

        def push() -> None:
            self._server.driver.apply(
                lambda now: self._control.push(channel, data, now=now, session=session, user=user, ext=ext)
            )

        self._server.call(push)

    def fault(self, fault: Mapping[str, JSON], session: int | None) -> FaultInfo:
        """Activate a fault."""
        return self._server.call(lambda: self._control.add_fault(fault, session=session))

    def register(self, responder: Responder) -> None:
        """Add a responder, which takes precedence over the scenario."""
        self._server.call(lambda: self._server.backend.register(responder))

    def stop(self) -> None:
        """Answer held polls and stop the server."""
        self._server.stop()
