"""JSON: decoded values are encoded unchanged, and equality is that of JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, NotJSON, decode, encode, same

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
    ],
)
def test_same_compares_as_json_does(one: JSON, other: JSON, equal: bool):  # a column of the table
    assert same(one, other) is equal
    assert same(other, one) is equal
