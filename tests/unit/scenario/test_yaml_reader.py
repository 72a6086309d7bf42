"""Reading YAML 1.2 core: values, positions and errors."""

from __future__ import annotations

import pytest

from cometreel.errors import FileInvalid
from cometreel.jsonvalue import JSON
from cometreel.scenario.yaml_reader import read_yaml


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *[(text, text) for text in ("No", "on", "yes", "y", "0123", "12:30:45", "1_000", "0b1", "=", "1.2.3")],
        *[
            (text, text)
            for text in ("2026-11-23", "2026-11-23T10:00:00Z", "861640a2", "28383e5523c7479c", "+-1", "nan")
        ],
        *[(text, None) for text in ("", "~", "null", "Null", "NULL")],
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[("false", False), ("0", 0), ("-7", -7), ("+7", 7), ("0o17", 15), ("0x1F", 31), ("1e3", 1000.0)],
        *[("1.", 1.0), (".5", 0.5), ("-1.5E-2", -0.015), ("86164e12", 86164e12)],
        *[("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"), ('"\\u0001"', "\x01"), ("'~'", "~")],
    ],
)
def test_core_schema(written: str, value: JSON) -> None:
    """YAML 1.2 §10.3, but numbers with a leading zero stay text: they are ids."""
    found = read_yaml(f"a: {written}\n", "f")
    assert found.value == {"a": value}
    kinds = [float if isinstance(member, float) else type(member) for member in found.value.values()]
    assert kinds == [type(value)]


def test_every_value_and_every_key_has_a_line_and_a_column() -> None:
    document = read_yaml("a: 1\nb:\n  - x\n  - {c: [2, 3]}\n", "f")
    assert document.place(("a",)) == (1, 4)
    assert document.place(("b",), key=True) == (2, 1)
    assert document.place(("b", 0)) == (3, 5)
    assert document.place(("b", 1, "c"), key=True) == (4, 6)
    assert document.place(("b", 1, "c", 1)) == (4, 13)
    assert document.place(("b", 1, "missing")) == (4, 5)
    assert document.place(("b", 9)) == (3, 3)


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "f: the file is empty; expected a scenario (start with 'cometreel: 1')"),
        ("# only this\n", "f: the file is empty; expected a scenario (start with 'cometreel: 1')"),
        (
            "a: !!python/object:os.system x",
            "f:1:4: the tag !!python/object:os.system isn't allowed; expected plain data",
        ),
        (
            "a: !!python/object/apply:os.system [ls]",
            "f:1:4: the tag !!python/object/apply:os.system isn't allowed; expected plain",
        ),
        ("- !foo {a: 1}", "f:1:3: the tag !foo isn't allowed; expected plain data"),
        ("a: &x [1, *x]", "f:1:11: the alias *x is inside its own anchor; expected no recursion"),
        ("a: &x\n  b: {c: *x}", "f:2:10: the alias *x is inside its own anchor; expected no recursion"),
        ("a: *y", "f:1:4: the alias *y has no anchor before it; expected a defined anchor (define &y first)"),
        ("a: 1\nb: 2\na: 3", "f:3:1: the key 'a' is duplicated; expected each key once (first used in line 1)"),
        ("a: .inf", "f:1:4: .inf isn't a JSON number; expected a finite number (write '.inf' for a string)"),
        ("a: 1e999", "f:1:4: the number is too large; expected a number that a double can hold (quote it)"),
        (f"a: {'9' * 5000}", "f:1:4: the number is too large; expected a number that a double can hold (quote it)"),
        ("a:\n  1: x", "f:2:3: the key 1 isn't a string; expected a string (write '1':)"),
        ("<<: {a: 1}", "f:1:1: '<<' doesn't merge mappings in YAML 1.2; expected a key"),
        ("a: {{ ref }}", "f:1:5: a key is a mapping or a sequence; expected a string (quote it; write {$t:"),
        ("a\n---\nb", "f:2:1: the file has a second document; expected one document (remove the '---')"),
        ("a: 'x", "f:1:6: not YAML: found unexpected end of stream"),
        ("a:\n\t- b", "f:2:1: not YAML: found character that cannot start any token"),
        ("a: @b", "f:1:4: not YAML: found character that cannot start any token"),
        ("a: x\x01", "f:1:5: the character U+0001 isn't allowed in YAML; expected printable text (write it as"),
        ("a: \ud83d", "f:1:4: the character U+D83D isn't allowed in YAML; expected printable text (write it as"),
        ("[" * 150, "f:1:101: nested more than 100 levels deep; expected fewer levels"),
        ("- " * 150 + "x", "f:1:201: nested more than 100 levels deep; expected fewer levels"),
        (LAUGHS, "f:6:38: aliases expand to more than 1000000 values; expected fewer (write the data without aliases)"),
        ('a: "\\ud83d"', "f:1:7: not YAML: found invalid Unicode character escape code"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_invalid_yaml_is_refused_with_its_position(text: str, problem: str) -> None:
    with pytest.raises(FileInvalid) as caught:
        read_yaml(text, "f")
    assert str(caught.value).startswith(problem)


def test_bytes_that_are_not_utf8_are_reported_with_their_position() -> None:
    with pytest.raises(FileInvalid) as caught:
        read_yaml("cometreel: 1\ntitle: Grüße".encode("latin-1"), "f")
    assert str(caught.value) == "f:2:10: the byte 0xfc is not UTF-8; expected UTF-8 text (save the file as UTF-8)"


def test_several_problems_are_reported_at_once() -> None:
    with pytest.raises(FileInvalid) as caught:
        read_yaml("a: !x 1\nb: .nan\na: 2\n", "f")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(1, 4), (2, 4), (3, 1)]


def test_an_alias_is_a_copy_and_a_byte_order_mark_is_ignored() -> None:
    assert read_yaml("\ufeffa: &x {b: 1}\nc: [*x, *x]\n", "f").value == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_a_position_inside_of_a_body_is_found_by_reading_the_text_again() -> None:
    """Positions there are not kept, except on the way to a marker: they take more memory than the values."""
    text = "a:\n  - b:\n      c:\n        d: {e: [1, {f: x}]}\n        g: {h: {$t: y}, i: z}\n"
    document = read_yaml(text, "f")
    plain = ("a", 0, "b", "c", "d", "e", 1, "f")
    assert document.place(("a", 0, "b", "c", "g", "h", "$t")) == (5, 21)
    assert document.place(("a", 0, "b", "c", "g", "i")) == (5, 28)
    assert document.place(plain) == (4, 24)
    assert document.place(plain, key=True) == (4, 21)
    assert document.position(("a", 0, "b", "c", "d", "e")) == ("f", 4, 16)
