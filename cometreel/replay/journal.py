"""The journal of what was asked of a replay: the latest calls, numbered, and what is known of all that came before.

Bounded in calls and in bytes, so that a load run of days doesn't grow it. What a call says is the desk's business.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import TypeAlias

from cometreel.replay.calls import Call, Calls

__all__ = ["Journal", "Listener"]

_MAX_BYTES = 64 * 1024 * 1024  # of all bodies together
_MAX_UNMATCHED = 1000

Listener: TypeAlias = Callable[[Call], None]
"""Is told each call as it is noted. It must return at once."""


class Journal:
    """The latest `max_calls` calls, and fewer where their bodies are large."""

    def __init__(self, max_calls: int) -> None:
        self._calls: deque[Call] = deque()
        self._unmatched: deque[Call] = deque(maxlen=min(max_calls, _MAX_UNMATCHED))
        self._max_calls, self._bytes = max_calls, 0
        self._listeners: list[Listener] = []
        self.last = 0
        """The number of the latest call, 0 before the first."""
        self.played: Counter[str] = Counter()
        """How often each exchange was played, over all sessions since the beginning."""
        self.outcomes: Counter[str] = Counter()
        """How often each outcome came, without what stands behind its colon."""

    @property
    def calls(self) -> Calls:
        """The latest calls, oldest first."""
        return Calls(self._calls)

    @property
    def unmatched(self) -> Calls:
        """The latest calls that nothing answered. They stay when other calls have pushed them out of `calls`."""
        return Calls(self._unmatched)

    def write(self, call: Call) -> None:
        """Note a call, whose number must be the one after the last."""
        self.last = call.number
        self._calls.append(call)
        self._bytes += len(call.body)
        if len(self._calls) > self._max_calls or self._bytes > _MAX_BYTES:
            self._trim()
        outcome = call.outcome
        self.outcomes[outcome if ":" not in outcome else outcome.partition(":")[0]] += 1
        if outcome == "played" and call.exchange is not None:
            self.played[call.exchange] += 1
        elif call.miss is not None:
            self._unmatched.append(call)
        if self._listeners:
            for listener in tuple(self._listeners):
                listener(call)

    def _trim(self) -> None:
        while self._calls and (len(self._calls) > self._max_calls or self._bytes > _MAX_BYTES):
            self._bytes -= len(self._calls.popleft().body)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener of each call from now on; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def clear(self) -> None:
        """Forget all calls. The numbers go on, and so do the outcomes, which are counted for good."""
        self._calls.clear()
        self._unmatched.clear()
        self.played.clear()
        self._bytes = 0
