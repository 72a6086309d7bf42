"""Compares the answers to Bayeux messages in a reply or a frame with those that are expected."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable
from typing import TypeAlias

MessageAnswer: TypeAlias = tuple[str, str | None]
"""A channel and the code of an error, empty if the message was successful; None if any of them is expected."""


def compared(
    text: str | bytes, expected: Iterable[MessageAnswer], unasked: Container[str]
) -> tuple[list[MessageAnswer], list[MessageAnswer]]:
    """Return the expected answers that a text doesn't have in this order, and its other answers.

    The server also sends messages on the channels `unasked`.
    """
    left, others = [*expected], list[MessageAnswer]()
    for channel, error in answers_in(text):
        if left and left[0] in ((channel, error), (channel, None)):
            del left[0]
        elif channel not in unasked:
            others.append((channel, error))
    return left, others


def answers_in(text: str | bytes) -> list[MessageAnswer]:
    """Return the answers in the JSON of a reply or a frame."""
    messages = [each for each in json.loads(text) if "successful" in each]
    return [(each["channel"], "" if each["successful"] else str(each.get("error"))[:3]) for each in messages]
