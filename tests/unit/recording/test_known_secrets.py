"""Known secrets are found in lines of any size, next to any characters and in any encoding."""

from __future__ import annotations

import base64
import html
import json
import random
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote

import pytest

from cometreel.jsonvalue import JSON, decode, encode
from cometreel.recording.known_secrets import KnownSecrets, looks_random


def known_secrets(*secrets: str) -> KnownSecrets:
    known = KnownSecrets()
    for secret in secrets:
        known.add(secret, "password")
    return known


MANY = [f"another-{number * 7919:08}" for number in range(100)]
"""So many secrets are searched for in a table, a few one by one."""


def scrubbed(secrets: list[str], event: JSON, more: list[str] = MANY) -> JSON:
    few, many = known_secrets(*secrets), known_secrets(*secrets, *more)
    lines = [known.scrub(encode(event), event, lambda _: "*") for known in (few, many)]
    assert lines[0] == lines[1]
    return decode(lines[0])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("tr0ub4dor", "it is tr0ub4dor.", "it is *."),
        ("tr0ub4dor", "tr0ub4dor2", "*2"),
        ("tr0ub4dor", "xtr0ub4dortr0ub4dory", "x**y"),
        ("tr0ub4dor", "TR0UB4DOR Tr0ub4Dor", "* *"),
        ("tr0ub4dor", '{"a":"\\ntr0ub4dor\\ttr0ub4dor"}', '{"a":"\\n*\\t*"}'),
        ("tr0ub4dor", "a%20tr0ub4dor%3Dtr%30ub4dor", "a%20*%3D*"),
        ("tr0ub4dor", "a%2520tr%2530ub4dor", "a%2520*"),
        ("tr0ub4dor", "&lt;tr&#48;ub4dor&gt;", "&lt;*&gt;"),
        ("tr0ub4dorf", "tr0ub4dor&fjlig;x", "*x"),  # the escape means `fj`
        ("tr0ub4dor", '"\\u0074r0ub4dor\\\\n"', '"*\\\\n"'),
        ("tr0ub4dor", f"Basic {encoded('kate:tr0ub4dor')}", f"Basic {encoded('kate:*')}"),
        ("tr0ub4dor", f"x{encoded('tr0ub4dor')}", "*"),
        ("tr0ub4dor", encoded('{"a": "tr%30ub4dor"}'), encoded('{"a": "*"}')),
        ("tr0ub4dor", encoded(encoded("tr0ub4dor")), encoded(encoded("*"))),
        ("node0abc123.n1", "id=node0abc123.n1;", "id=*;"),
        ("p@ss w/rd!", "p@ss w/rd!", "*"),
        ("p@ss w/rd!", "p%40ss%20w%2Frd%21", "*"),
        ("7f(RVQ3f1%B", "%7f%2528RVQ3f1%2525B", "%*"),
        ("p@ss w/rd!", "a=p%40ss+w%2Frd%21&b=1", "a=*&b=1"),
        ("ÄÖÜ-ßäöx", "x ÄÖÜ-ßäöx y", "x * y"),
        ("ÄÖÜ-ßäöx", "x äöü-ßäöx y", "x * y"),
        ("ÄÖÜ-ßäöx", quote("ÄÖÜ-ßäöx"), "*"),
        ("ÄÖÜ-ßäöx", encoded("ÄÖÜ-ßäöx"), encoded("*")),
        ('quo"ted\\pass', 'a quo"ted\\pass b', "a * b"),
        ('quo"ted\\pass', json.dumps({"a": 'quo"ted\\pass'}), '{"a": "*"}'),
        ("a!b@c#de", "a!b@c#def", "*f"),
        ("1234567", "1234567", "1234567"),  # too short
        ("channel", "channel", "channel"),  # a word of the protocol
    ],
)
def test_a_secret_is_replaced_everywhere(secret: str, text: str, expected: str) -> None:
    assert scrubbed([secret], {text: [text, {"x": text}], "n": 1}) == {expected: [expected, {"x": expected}], "n": 1}


def test_a_number_that_is_a_secret_is_replaced() -> None:
    assert scrubbed(["1234567890"], [1234567890, 1234567891, True, None]) == ["*", 1234567891, True, None]


def test_the_longer_of_two_secrets_is_replaced_first() -> None:
    assert scrubbed(["tr0ub4dor", "tr0ub4dor.n1"], "tr0ub4dor.n1 tr0ub4dor") == "* *"


def test_keys_that_become_equal_stay_apart() -> None:
    assert scrubbed(["tr0ub4dor"], {"tr0ub4dor": 1, "TR0UB4DOR": 2}) == {"*": 1, "*'": 2}


def test_beyond_the_limit_the_oldest_secret_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometreel.recording.known_secrets._LIMIT", 2)
    assert scrubbed(["secret-1", "secret-2", "!o@d#$%&"], ["secret-1", "secret-2", "!o@d#$%&"], more=[]) == [
        "secret-1",
        "*",
        "*",
    ]


def test_a_secret_in_another_case_is_the_same_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometreel.recording.known_secrets._LIMIT", 2)
    known = known_secrets("tr0ub4dor", "TR0UB4DOR", "another-1")
    assert known.scrub_text("tr0ub4dor TR0UB4DOR another-1", lambda _: "*") == "* * *"


def test_a_secret_that_was_dropped_may_be_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cometreel.recording.known_secrets._LIMIT", 1)
    known = known_secrets("secretword", "another-1")
    known.add_word("secretword")
    assert known.take_weak_places() == []


@pytest.mark.parametrize("text", ["it is tr0ub4dor.", encoded("it is tr0ub4dor"), "a%20tr0ub4d%6Fr"])
def test_a_text_that_was_clean_is_searched_again_for_a_new_secret(text: str) -> None:
    known = known_secrets("another-1", *MANY)
    part = encode(text)
    assert (known.is_clean(part, again=True), known.scrub(part, text, lambda _: "*")) == (True, part)
    known.add("tr0ub4dor")
    assert not known.is_clean(part, again=True)
    assert known.scrub(part, text, lambda _: "*") != part


def test_a_secret_is_found_without_the_blanks_around_it() -> None:
    assert known_secrets(" tr0ub4dor\n").scrub_text("it is tr0ub4dor.", lambda _: "*") == "it is *."


@pytest.mark.parametrize(
    ("value", "random"),
    [("default", False), ("workbins", False), ("1234567890", False), ("node0abc1", True), ("a b c d 1 2", False)],
)
def test_a_word_does_not_look_random(value: str, *, random: bool) -> None:
    assert looks_random(value) is random


# ---------------------------------------------------------------------- weak secrets
def test_a_short_secret_is_hidden_in_its_own_place_only() -> None:
    known = known_secrets("Agent1")
    assert known.scrub_text("/Agent1", lambda _: "*") == "/Agent1"
    assert known.take_weak_places() == ["password"]
    assert known.take_weak_places() == []


@pytest.mark.parametrize("first", ["secret", "word"])
@pytest.mark.parametrize(("earlier", "word"), [("Workbins", "workbins"), ("my-workbins-v2", "my-workbins-v2")])
def test_a_secret_that_is_a_word_or_a_part_of_one_is_weak_whichever_comes_first(
    earlier: str, word: str, first: str
) -> None:
    known = KnownSecrets()
    if first == "word":
        known.add_word(earlier)
    known.add("workbins", "password")
    known.add_word(word)
    assert known.scrub_text(f"/{word}", lambda _: "*") == f"/{word}"
    assert known.take_weak_places() == ["password"]


@pytest.mark.parametrize("first", ["secret", "name"])
def test_a_secret_that_equals_the_name_of_a_user_is_weak_whichever_comes_first(first: str) -> None:
    known = KnownSecrets()
    if first == "name":
        known.add_name("Kate.Smith-7")
    known.add("kate.smith-7", "password")
    known.add_name("Kate.Smith-7")
    assert known.scrub_text("kate.smith-7", lambda _: "*") == "kate.smith-7"


def test_a_random_secret_in_a_path_is_not_weak() -> None:
    known = known_secrets("x7Rq91kPz0")
    known.add_word("x7Rq91kPz0")
    assert known.scrub_text("/echo/x7Rq91kPz0", lambda _: "*") == "/echo/*"
    assert known.take_weak_places() == []


# ---------------------------------------------------------------------- random contexts
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
SECRET_SIGNS = LETTERS + "!#$%&'*+-/=?@\\^_`|~.,;:<>()[]{}\" äß€"
AROUND = [*LETTERS, *" \n\t\"'\\/%&=+:;,.<>{}[]()#?-_é€", "%20", "%3D", "\\n", "\\t", "&amp;", "\\u00e9", "://", "=="]

ENCODERS: list[Callable[[str], str]] = [
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps({"a": text, "n": [1]}),
    lambda text: json.dumps(f" {text}\n").replace("/", "\\/"),
    lambda text: quote(text, safe=""),
    quote,
    quote_plus,
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    html.escape,
    lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    lambda text: f"a=1&b={quote(text, safe='')}&c=2",
    encoded,
    lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    lambda text: base64.encodebytes(text.encode()).decode(),
]
CASES: list[Callable[[str], str]] = [str, str, str, str.upper, str.lower, str.title]


def in_context(dice: random.Random, secret: str) -> str:
    text = dice.choice(CASES)(secret)
    if len(text) != len(secret):  # `ß` in capitals
        text = secret
    for _ in range(dice.choice((0, 0, 1, 1, 1, 2, 2, 3))):
        text = dice.choice(ENCODERS)(text)
        text = "".join((*dice.choices(AROUND, k=dice.randrange(3)), text, *dice.choices(AROUND, k=dice.randrange(3))))
    return text + text if dice.random() < 0.1 else text


def random_secrets(dice: random.Random, count: int) -> list[str]:
    secrets = ("".join(dice.choices(SECRET_SIGNS, k=dice.randrange(10, 22))).strip() for _ in range(count * 2))
    return [secret for secret in secrets if len(secret) >= 10 and any(sign.isdigit() for sign in secret)][:count]


@pytest.mark.parametrize("part", range(20))
def test_no_secret_is_left_in_100_000_random_contexts(part: int) -> None:
    dice = random.Random(20261128 + part)  # not for cryptography
    secrets = random_secrets(dice, 200 if part % 2 else 10)
    known = known_secrets(*secrets)
    assert known.take_weak_places() == []
    left = []
    for _ in range(50):
        contexts = [(secret, in_context(dice, secret)) for secret in dice.choices(secrets, k=100)]
        event: JSON = {"json": [text for _, text in contexts]}
        lines = decode(known.scrub(encode(event), event, lambda _: "*"))
        assert isinstance(lines, dict)
        texts = lines["json"]
        assert isinstance(texts, list)
        left += [
            (secret, before, text)
            for (secret, before), text in zip(contexts, texts, strict=True)
            if text == before or secret.lower() in decoded_thrice(str(text)).lower()
        ]
    assert left == []


ESCAPE = re.compile(r"\\(u[0-9a-f]{4}|[bfnrt\"/\\])")


def decoded_thrice(text: str) -> str:
    """Return a text with its forms after decoding everything at once, once, twice and three times."""
    forms = [text]
    for _ in range(3):
        text = ESCAPE.sub(lambda found: str(json.loads(f'"{found[0]}"')), text)
        text = html.unescape(unquote(text))
        forms.append(text)
    return "\n".join(forms)
