"""Regular expressions: the results of Python's `re`, in limited time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.errors import FileInvalid
from cometreel.scenario import Mismatch, loads
from cometreel.scenario.regular_expression import ExpressionInvalid, RegularExpression, TextTooLong
from cometreel.wire import Request

EXPONENTIAL = {
    "nested repeats": ("(a+)+$", "a" * 41 + "!"),
    "a repeated choice": ("^(a|aa)+$", "a" * 60 + "!"),
    "a repeated choice that is empty": ("^(a|b|)*$", "a" * 60 + "!"),
    "optional parts": ("(a?){50}a{50}$", "a" * 49),
    "sequential repeats": (".*a.*a.*a.*a.*a.*a$", "a" * 300 + "!"),
    "an e-mail address": (r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@)$", "a" * 60 + "!"),
    "words": (r"^(\w+\s?)*$", "word " * 30 + "!"),
    "repeats in a repeat with a limit": ("^((a{1,30}){1,30})b", "a" * 80),
    "lazy repeats": ("^(a+?)+?$", "a" * 60 + "!"),
    "a repeat at any start": ("a*b", "a" * 10_000),
    "a named group": ("^(?P<all>(a+)+)$", "a" * 60 + "!"),
}


@pytest.mark.parametrize(("pattern", "text"), EXPONENTIAL.values(), ids=EXPONENTIAL.keys())
def test_a_pattern_that_needs_exponential_time_elsewhere_gets_its_result(pattern: str, text: str) -> None:
    """The tests end: Python's `re` would need years for the first ones."""
    assert RegularExpression(pattern).search(text) is None


def test_the_result_for_a_long_text_is_that_for_a_short_one() -> None:
    expression = RegularExpression(r"^(?P<first>\w+)(\.\w+)*@(?P<host>\w+(\.\w+)*)$")
    name = ".".join(["ann"] * 500)
    assert expression.search(f"{name}@gws.example") == {"first": "ann", "host": "gws.example"}
    assert expression.search("ann@gws.example") == {"first": "ann", "host": "gws.example"}


def test_a_text_that_takes_too_long_is_reported() -> None:
    with pytest.raises(TextTooLong):
        RegularExpression("(a|b)+c").search("ab" * 1_000_000)


def test_a_near_miss_names_a_text_that_takes_too_long() -> None:
    scenario = loads(
        "cometreel: 1\nexchanges:\n- {name: a, request: {method: POST, path: /x, body: {$regex: '(a|b)+c'}}}\n"
    )
    request = scenario.normalize_request(Request(1, "POST", "/x", body=b'"' + b"ab" * 1_000_000 + b'"'))
    found = scenario.exchanges[0].match(request, {})
    assert isinstance(found, Mismatch)
    assert [(one.expected, one.found) for one in found.differences] == [
        ("{$regex: (a|b)+c}", "a text of 2000000 characters, too long for this expression")
    ]


UNSUPPORTED = {
    "a(?=b)": "lookaround, as `(?=…)` or `(?<=…)`",
    "(?<=a)b": "lookaround, as `(?=…)` or `(?<=…)`",
    "(x|(?!b))": "negative lookaround, as `(?!…)` or `(?<!…)`",
    "(?<!a)b": "negative lookaround, as `(?!…)` or `(?<!…)`",
    r"(a)\1": "a backreference, as `\\1` or `(?P=name)`",
    "(?P<n>a)(?P=n)*": "a backreference, as `\\1` or `(?P=name)`",
    "(a)?(?(1)b|c)": "a condition, as `(?(1)…|…)`",
    "(?>a)": "an atomic group, as `(?>…)`",
    "a++": "a possessive repeat, as `a++`",
}


@pytest.mark.parametrize(("pattern", "construct"), UNSUPPORTED.items(), ids=UNSUPPORTED.keys())
def test_a_construct_that_needs_backtracking_is_an_error_with_its_place(pattern: str, construct: str) -> None:
    head = "cometreel: 1\nexchanges:\n- name: a\n  request:\n    method: GET\n    path: "
    with pytest.raises(FileInvalid) as failure:
        loads(f"{head}{{$regex: '{pattern}'}}\n", "f.yaml")
    assert str(failure.value) == (
        f"f.yaml:6:20: the regular expression {pattern!r} has {construct}; "
        "expected an expression without it, which can be searched in limited time"
    )


@pytest.mark.parametrize("pattern", ["((a{1,100}){1,100}){1,100}", "(?:a{9999}b)", "(((a{50}){50}){50}){50}"])
def test_an_expression_that_is_too_large_is_an_error(pattern: str) -> None:
    with pytest.raises(ExpressionInvalid, match=r"is too large: \d+ states with its repeats written out"):
        RegularExpression(pattern)


def test_groups_that_are_nested_too_deeply_are_an_error() -> None:
    with pytest.raises(ExpressionInvalid):
        RegularExpression("(" * 150 + "a" + ")" * 150)


ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", r"\s", r"\b", r"\B", "^", "$", r"\A", r"\Z", "(a)", "(?i:A)", "ß"]
)
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,3}", "{0,2}?", "{2,}"])


def _joined(parts: list[tuple[str, str]]) -> str:
    return "".join(f"(?:{atom}){repeat}" for atom, repeat in parts)


PATTERNS = st.recursive(
    st.lists(st.tuples(ATOMS, REPEATS), min_size=1, max_size=4).map(_joined),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, REPEATS).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.tuples(inner, inner).map("".join),
    ),
    max_leaves=4,
)
FLAGS = st.sampled_from(["", "(?i)", "(?m)", "(?s)", "(?a)", "(?im)"])


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("(?:(?:a)*?)+", "a"), ("(?:(?:.)??)*", "1ß"), ("(?:a|(?:.)*?)*", "1"), ("(?:(?:a)*?b?)*", "ab")],
)
def test_an_empty_repetition_ends_the_loop(pattern: str, text: str) -> None:
    expected = re.search(f"(?P<found>{pattern})", text)
    assert expected is not None
    assert RegularExpression(f"(?P<found>{pattern})").search_linear(text) == expected.groupdict()


@given(PATTERNS, FLAGS, st.text("abAB1 \nßé", max_size=8))
def test_both_engines_find_the_same(pattern: str, flags: str, text: str) -> None:
    expected = re.search(f"{flags}(?P<found>{pattern})", text)
    expression = RegularExpression(f"{flags}(?P<found>{pattern})")
    assert expression.search_linear(text) == (None if expected is None else expected.groupdict())


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^(?P<a>[^/]+)/(?P<b>.*?)(?P<c>x)?$", "one/two/x"),
        ("(?P<a>a|ab)(?P<b>c|bcd)(?P<d>d*)", "abcd"),
        ("(?:(?P<a>a)|(?P<b>b))+", "aba"),
        ("(?x) (?P<a> \\d{2,4} ) - # a comment\n (?P<b>\\w+)", "12345-x"),
    ],
)
def test_both_engines_capture_the_same(pattern: str, text: str) -> None:
    expected = re.search(pattern, text)
    assert expected is not None
    assert RegularExpression(pattern).search_linear(text) == expected.groupdict()


def test_the_beginning_of_a_line_is_found_after_other_lines() -> None:
    assert RegularExpression("(?m)^b").search_linear("a\nb") == {}
    assert RegularExpression("^b").search_linear("a\nb") is None
