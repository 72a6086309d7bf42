"""Known secrets are found in lines of any size and replaced exactly."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON, decode, encode
from cometreel.recording.known_secrets import KnownSecrets, looks_random


def scrubbed(secrets: list[str], event: JSON) -> JSON:
    known = KnownSecrets()
    for secret in secrets:
        known.add(secret)
    return decode(known.scrub(encode(event), event, lambda _: "*"))


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("tr0ub4dor", "it is tr0ub4dor.", "it is *."),
        ("tr0ub4dor", "tr0ub4dor2", "tr0ub4dor2"),  # another word
        ("node0abc123.n1", "id=node0abc123.n1;", "id=*;"),
        ("p@ss w/rd!", "p@ss w/rd!", "*"),
        ("p@ss w/rd!", "p%40ss%20w%2Frd%21", "*"),
        ("ÄÖÜ-ßäö", "x ÄÖÜ-ßäö y", "x * y"),
        ('quo"ted\\pass', 'a quo"ted\\pass b', "a * b"),
        ("a!b@c#", "a!b@c#d", "*d"),
        ("12345", "12345", "12345"),  # too short
        ("channel", "channel", "channel"),  # a word of the protocol
    ],
)
def test_a_secret_is_replaced_everywhere(secret: str, text: str, expected: str) -> None:
    assert scrubbed([secret], {text: [text, {"x": text}], "n": 1}) == {expected: [expected, {"x": expected}], "n": 1}


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    assert scrubbed(["tr0ub4dor", "tr0ub4dor.n1"], "tr0ub4dor.n1 tr0ub4dor") == "* *"


def test_beyond_the_limit_the_oldest_secret_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometreel.recording.known_secrets._LIMIT", 2)
    assert scrubbed(["secret-1", "secret-2", "!o@d#$%"], ["secret-1", "secret-2", "!o@d#$%"]) == ["secret-1", "*", "*"]


@pytest.mark.parametrize(
    ("value", "random"),
    [("default", False), ("workbins", False), ("1234567890", False), ("node0abc1", True), ("a b c d 1 2", False)],
)
def test_a_word_is_not_random(value: str, *, random: bool) -> None:
    assert looks_random(value) is random
