"""Scripted engines for tests of their hosts."""

from __future__ import annotations

from cometreel.wire import Begin, Chunk, Effect, End, Headers, Request

__all__ = ["TEXT", "IdleEngine", "PartsEngine"]

TEXT = Headers([("Content-Type", "text/plain")])


class IdleEngine:
    """The parts of an engine that does nothing later. Each reply is to be confirmed."""

    def deadline(self) -> float | None:
        return None

    def advance(self, now: float) -> list[Effect]:
        return []

    def awaits_confirmation(self, request_id: int) -> bool:
        return True

    def release_all(self, now: float) -> list[Effect]:
        return []


class PartsEngine(IdleEngine):
    """Answers `/parts` in parts, all at once; holds every other request. Each reply and part is to be confirmed."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def receive(self, request: Request, now: float) -> list[Effect]:
        if request.path == "/parts":
            parts: list[Effect] = [Chunk(request.id, b"one, "), Chunk(request.id, b""), Chunk(request.id, b"two")]
            return [Begin(request.id, 200, TEXT), *parts, End(request.id)]
        if request.path == "/fails":
            raise ValueError("a bug")
        return []

    def frame(self, request_id: int, text: str, now: float) -> list[Effect]:
        raise AssertionError

    def delivered(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append(f"delivered {request_id}")
        return []

    def gone(self, request_id: int, now: float) -> list[Effect]:
        self.seen.append(f"gone {request_id}")
        return []
