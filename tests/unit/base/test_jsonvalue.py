"""JSON: decoded values are encoded unchanged, and equality is that of JSON."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, NotJSON, decode, decode_lenient, encode, exact, readable, same, sorted_text

VALUES: st.SearchStrategy[JSON] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_encoded_values_are_decoded_unchanged(value: JSON):
    assert same(decode(encode(value)), value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Expecting value"),
        ('{"a":1', "delimiter"),
        ("[NaN]", "NaN is not JSON"),
        ("[-Infinity]", "-Infinity is not JSON"),
        ("1e999", "the number 1e999 is out of range; expected one that a double can hold"),
        ('{"id":-1e400}', "the number -1e400 is out of range"),
        ('{"a":1,"b":{"c":2,"c":3}}', "the key 'c' occurs twice in one object"),
        (b"\xff\xfe", "utf-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_json_that_python_can_not_represent_is_refused(text: str | bytes, complaint: str):
    with pytest.raises(NotJSON, match=complaint.replace("(", r"\(")):
        decode(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"statusCode": 0, "referenceId": 66}, b'{"statusCode":0,"referenceId":66}'),
        ("ünïcode ☃", '"ünïcode ☃"'.encode()),
        ("\ud83d", b'"\\ud83d"'),
        (1.0, b"1.0"),
    ],
)
def test_values_are_encoded_compactly_with_keys_in_order(value: JSON, written: bytes):
    assert encode(value) == written


def test_a_byte_order_mark_is_ignored():
    assert decode(b"\xef\xbb\xbf[1]") == [1]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ("1", 1, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ([True], [1], False),
        (decode("1.50"), 1.5, True),
        (decode("0.10"), 0.1, True),
        (decode("1e2"), 100, True),
        (decode("-0"), 0, True),
        (decode("1e-400"), 0, False),
        (decode("485690.3866338789319252"), decode("485690.3866338789"), False),
        (decode("123456789012345678901.5"), decode("123456789012345678901.25"), False),
        (decode("1e23"), 10**23, True),
        (decode("1.50"), decode("1.500"), True),
        (decode("1.50"), "1.50", False),
        (decode("1.0"), True, False),
        (decode("1e-99999999999999999999"), 0, True),
    ],
)
def test_same_compares_as_json_does(one: JSON, other: JSON, equal: bool):  # a column of the table
    assert same(one, other) is equal
    assert same(other, one) is equal


NUMBERS = [
    "485690.3866338789319252",
    "1e-400",
    "-0",
    "-0.0",
    "123456789012345678901.5",
    "1.50",
    "1E5",
    "1e+16",
    "5e-324",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_keeps_its_text(text: str):
    for around in (text, f'{{"price":{text},"at":["12:30",{text}]}}'):
        value = decode(around)
        assert encode(value).decode() == around
        assert encode(copy.deepcopy(value)).decode() == around
        assert encode(pickle.loads(pickle.dumps(value))).decode() == around
    assert readable([decode(text)]) == f"[{text}]"


def test_a_literal_is_a_float_in_calculations():
    price = decode("1.50")
    assert isinstance(price, float)
    assert price * 2 == 3.0
    assert f"{price}" == "1.50"


@given(VALUES, VALUES)
def test_values_have_the_same_sorted_text_if_they_are_the_same(one: JSON, other: JSON):
    assert (sorted_text(one) == sorted_text(other)) is same(one, other)
    assert sorted_text(decode(encode(one))) == sorted_text(one)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1.50", "1.5", True),
        ("[1.0]", "[1]", True),
        ("1e2", "100", True),
        ("-0", "0", True),
        ("1e-400", "0", False),
        ("1e23", "100000000000000000000000", True),
        ('{"b":1,"a":1.0}', '{"a":1,"b":1.00}', True),
        ("1.5", '"1.5"', False),
        ("1", "true", False),
    ],
)
def test_sorted_text_compares_numbers_by_value(one: str, other: str, equal: bool):  # a column of the table
    assert (sorted_text(decode(one)) == sorted_text(decode(other))) is equal


def test_equal_numbers_have_equal_hashes():
    assert hash(exact(1.5)) == hash(exact(decode("1.50")))  # type: ignore[arg-type]  # a number
    assert hash(exact(decode("1e2"))) == hash(100)  # type: ignore[arg-type]  # a number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2,], "b": "x,}",}', {"a": [1, 2], "b": "x,}"}),
        ('{"a": 1, // the first\n "b": /* the\nsecond */ 2}', {"a": 1, "b": 2}),
        ('["http://x/*", 1 ,\t]', ["http://x/*", 1]),
        (b'\xef\xbb\xbf{"a":1,}', {"a": 1}),
        ('{"a":1.50,}', {"a": 1.5}),
    ],
)
def test_lenient_json_is_decoded_by_meaning(text: str | bytes, value: JSON):
    assert decode_lenient(text) == value


@pytest.mark.parametrize(
    "text", ['{"a":1', "{'a':1}", "[1 2,]", "[NaN,]", "[1e999,]", '{"a":1,"a":2,}', b'{"a":"\xff",}', "[,]", '["a']
)
def test_lenient_json_excludes_other_mistakes(text: str | bytes):
    with pytest.raises(NotJSON):
        decode_lenient(text)


@pytest.mark.parametrize("part", ["/*", '\\"', ",/*", ", ", "//", "\\"])
def test_long_malformed_json_is_refused_in_linear_time(part: str):
    """A megabyte takes a fraction of a second; in quadratic time it would take hours."""
    with pytest.raises(NotJSON):
        decode_lenient('{"a' + part * (1_000_000 // len(part)))


@given(st.lists(st.sampled_from(["number ", "number #", 'number 1"', "1.50"]) | st.just(decode("1.50")), min_size=1))
def test_a_text_that_looks_like_a_number_stays_a_text(items: list[JSON]):
    text = encode(items)
    assert same(decode(text), items)
    assert text.count(b'"1.50"') == items.count("1.50")
