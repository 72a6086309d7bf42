"""What of a request may be shown."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.masking import masked, masked_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "x", "userName": "kate"}, {"password": "[hidden]", "userName": "kate"}),
        ({"newPassword": {"a": 1}, "X-CSRF-TOKEN": 1}, {"newPassword": "[hidden]", "X-CSRF-TOKEN": "[hidden]"}),
        ([{"list": [{"clientId": "x"}]}], [{"list": [{"clientId": "[hidden]"}]}]),
        (
            {"pin": 1, "pinned": 1, "code": "x", "statusCode": 0},
            {"pin": "[hidden]", "pinned": 1, "code": "[hidden]", "statusCode": 0},
        ),
        ("token", "token"),
    ],
)
def test_members_whose_names_mark_a_secret_are_covered(value: JSON, shown: JSON) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a?access_token=x&b=1&code=y", "/a?access_token=[hidden]&b=1&code=[hidden]"),
        ("password=a=b&x=1", "password=[hidden]&x=1"),
        ("/workbins/1?operationName=Subscribe", "/workbins/1?operationName=Subscribe"),
        ('{"password" : "x", "user": "kate", broken', '{"password" : "[hidden]", "user": "kate", broken'),
        ('{"secret":"cut o', '{"secret":"[hidden]'),
        ("{userName: kate, password: x, n: 1}", "{userName: kate, password: [hidden], n: 1}"),
        ("no pairs", "no pairs"),
    ],
)
def test_values_of_a_query_a_form_and_half_json_are_covered_by_the_same_names(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text", ["1" * 1_000_000, '"' * 1_000_000, "a=" * 500_000, '"a":' * 250_000, "a " * 500_000, "{a: " * 250_000]
)
def test_no_text_takes_long(text: str) -> None:
    assert masked_text(text) == text
