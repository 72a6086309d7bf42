"""Conversations with a backend, each of which must be read to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("tests.unit.engine.conversation")

from tests.unit.engine.conversation import Conversation  # noqa: E402  # its assertions explain themselves only now

Talk = Callable[..., Conversation]


@pytest.fixture
def conversation() -> Iterator[Talk]:
    """Begin conversations; when the test ends, all of them must have been read to the end."""
    begun: list[Conversation] = []

    def begin(*args: object, **settings: object) -> Conversation:
        begun.append(Conversation(*args, **settings))  # type: ignore[arg-type]  # passed on as it is
        return begun[-1]

    yield begin
    for talk in begun:
        talk.finish()
