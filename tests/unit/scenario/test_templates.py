"""Templates: types, determinism, the sandbox, clear failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON
from cometreel.scenario.templates import SeededRandom, TemplateFailed, check_template, template, undefined_names

SEES: dict[str, object] = {
    "body": {"items": 3, "keys": "own", "list": [1, {"a": None}]},
    "yes": True,
    "none": None,
    "id": "86164e12",
    "number": "12345",
    "now": datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC),
    "exact": datetime(2026, 11, 23, 10, 0, 0, 250_900, tzinfo=UTC),
    "local": datetime(2026, 11, 23, 10, 0, 0, tzinfo=timezone(timedelta(hours=2))),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ body.items }}", 3),
        ("{{ body.keys }}", "own"),
        ("{{ body.list }}", [1, {"a": None}]),
        ("{{ body.list[1].a }}", None),
        ("{{ yes }}", True),
        ("{{ id }}", "86164e12"),
        ("{{ number }}", "12345"),
        ("{{ number|int + 1 }}", 12346),
        ("  {{ body.items }}\n", 3),
        ("{{ '}}' }}", "}}"),
        ("{{ dict(body, seq=1).seq }}", 1),
        ("{{ body.get('none', 'default') }}", "default"),
        ("{{ body.none|default('d') }}", "d"),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ now }}", "2026-11-23T10:00:00Z"),
        ("at {{ now }}", "at 2026-11-23T10:00:00Z"),
        ("{{ local }}", "2026-11-23T08:00:00Z"),
        ("{{ exact }}", "2026-11-23T10:00:00.250Z"),
        ("{{ yes }}{{ none }}", "truenull"),
        ("n{{ body.items }}", "n3"),
        ("{{ number }}{{ '' }}", "12345"),
        ("{% if yes %}a{% endif %}", "a"),
        ("{% for i in range(3) %}{{ i }}{% endfor %}", "012"),
        ("x{{ body.list }}", 'x[1,{"a":null}]'),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_a_single_expression_keeps_its_type_and_mixed_text_is_text(text: str, value: JSON) -> None:
    rendered = template(text).render(SEES)
    assert rendered == value
    assert type(rendered) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{{ body.missing }}", "'dict object' has no attribute 'missing'"),
        ("x{{ body.missing }}", "'dict object' has no attribute 'missing'"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ body.items / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ body.items.x.y }}", "'int object' has no attribute 'x'"),
        ("{{ id + 1 }}", "TypeError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ id.format.__globals__ }}", "SecurityError"),
        ("{{ 'x' * 10**9 }}", "SecurityError: the result is too large"),
        ("{{ 9**99999 }}", "SecurityError: the result is too large"),
        ("{{ body.list.append(1) }}", "SecurityError"),
        ("{{ range(10000000) }}", "OverflowError"),
        ("{{ 1e308 * 10 }}", "ValueError: inf is not a number of JSON"),
        ("{{ now.date }}", "TypeError: builtin_function_or_method is not a JSON value"),
    ],
)
def test_a_failure_names_template_and_reason(text: str, reason: str) -> None:
    with pytest.raises(TemplateFailed) as caught:
        template(text).render(SEES, "f:3:5")
    assert str(caught.value).startswith(f"f:3:5: the template {text!r} failed: {reason}")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{{ x", "unexpected end of template"),
        ("{{ x | random }}", "No filter named 'random'"),
        ("{% include 'x' %}", ""),
        ("a\n{% for %}", "in line 2"),
        ("{{ 10**(10**10) }}", ""),
    ],
)
def test_syntax_is_checked_at_load_without_evaluating_anything(text: str, wrong: str) -> None:
    assert wrong in check_template(text)
    assert bool(wrong) is bool(check_template(text))


def test_undefined_names_are_found_at_load() -> None:
    text = "{% set own = 1 %}{{ own }} {{ request.body }} {{ reff }} {{ range(3) }} {{ lipsum() }}"
    assert undefined_names(text, frozenset({"request", "ref"})) == ["lipsum", "reff"]


def test_random_values_are_equal_for_the_same_seed_and_place() -> None:
    one, same, other = SeededRandom("s", "event 0/0"), SeededRandom("s", "event 0/0"), SeededRandom("s", "event 1/0")
    first = [one.uuid(), one.uuid()]
    assert first == [same.uuid(), same.uuid()]
    assert len({*first}) == 2
    assert len({SeededRandom("s", "a").uuid(), SeededRandom("t", "a").uuid(), other.uuid()}) == 3
    assert one.uuid("order") == other.uuid("order")
    assert one.uuid()[14] == "4"


@given(st.integers(), st.integers(0, 10**6), st.text())
def test_randint_is_in_its_range(low: int, width: int, seed: str) -> None:
    assert low <= SeededRandom(seed, "reply").randint(low, low + width) <= low + width


def test_randint_reaches_both_ends_of_its_range() -> None:
    dice = SeededRandom("s", "reply")
    assert {dice.randint(1, 6) for _ in range(200)} == {1, 2, 3, 4, 5, 6}


def test_randint_with_an_empty_range_fails_clearly() -> None:
    with pytest.raises(TemplateFailed, match="the range is empty"):
        template("{{ randint(2, 1) }}").render({"randint": SeededRandom("", "").randint})
