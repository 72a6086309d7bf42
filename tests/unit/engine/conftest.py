"""Conversations with a backend; each message must be asserted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("tests.unit.engine.conversation")

from tests.unit.engine.conversation import Conversation  # noqa: E402  # its assertions explain themselves only now

Talk = Callable[..., Conversation]


@pytest.fixture
def conversation() -> Iterator[Talk]:
    """Start conversations; at the end of the test, fail if a message was not asserted."""
    begun: list[Conversation] = []

    def begin(*args: object, **settings: object) -> Conversation:
        begun.append(Conversation(*args, **settings))  # type: ignore[arg-type]  # passed on as it is
        return begun[-1]

    yield begin
    for talk in begun:
        talk.finish()
