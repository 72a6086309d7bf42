"""The journal of what was asked of a replay: the latest calls, numbered, and what is known of all that came before.

Bounded in calls and in bytes, so that a load run of days doesn't grow it. What a call says is the desk's business.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from cometreel.replay.calls import Call, Calls

__all__ = ["Journal", "Listener"]

_MAX_BYTES = 64 * 1024 * 1024  # of all bodies together
_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES = 1000, 16 * 1024 * 1024

Listener: TypeAlias = Callable[[Call], None]
"""Is told each call as it is noted. It must return at once."""


class _Latest:
    """The latest calls, at most so many, and with at most so many bytes of bodies."""

    __slots__ = ("_bytes", "_calls", "_max_bytes", "_max_calls")

    def __init__(self, max_calls: int, max_bytes: int) -> None:
        self._max_calls, self._max_bytes = max_calls, max_bytes
        self.clear()

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def add(self, call: Call) -> None:
        """Keep one more, and let go of the oldest for it."""
        self._calls.append(call)
        self._bytes += len(call.body)
        while self._calls and (len(self._calls) > self._max_calls or self._bytes > self._max_bytes):
            self._bytes -= len(self._calls.popleft().body)

    def clear(self) -> None:
        """Let go of all."""
        self._calls: deque[Call] = deque()
        self._bytes = 0


class Journal:
    """The latest `max_calls` calls, and fewer where their bodies are large."""

    def __init__(self, max_calls: int) -> None:
        self._calls = _Latest(max_calls, _MAX_BYTES)
        self._unmatched = _Latest(_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES)
        self._failed = _Latest(_MAX_UNMATCHED, _MAX_UNMATCHED_BYTES)
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

    @property
    def failed(self) -> Calls:
        """The latest calls that failed. They stay as those do that nothing answered."""
        return Calls(self._failed)

    def write(self, call: Call) -> None:
        """Note a call, whose number must be the one after the last."""
        self.last = call.number
        self._calls.add(call)
        outcome = call.outcome
        self.outcomes[outcome if ":" not in outcome else outcome.partition(":")[0]] += 1
        if outcome == "played" and call.exchange is not None:
            self.played[call.exchange] += 1
        elif call.miss is not None:
            self._unmatched.add(call)
        elif call.failure:
            self._failed.add(call)
        if self._listeners:
            for listener in tuple(self._listeners):
                listener(call)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener of each call from now on; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def clear(self) -> None:
        """Forget all calls. The numbers go on, and so do the outcomes, which are counted for good."""
        self._calls.clear()
        self._unmatched.clear()
        self._failed.clear()
        self.played.clear()
