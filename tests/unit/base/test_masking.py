"""Masking: values whose names mark secrets or personal data are hidden; the table follows the recorder's policy."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON
from cometreel.masking import (
    is_hidden_at,
    is_secret,
    is_secret_header,
    masked,
    masked_text,
)
from tests.secret_name_table import KEPT, PERSONAL, QUERY_PERSONAL, QUERY_SECRETS, SECRETS


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"password": "x", "userName": "kate"}, {"password": "[hidden]", "userName": "kate"}),
        ({"newPassword": {"a": 1}, "X-CSRF-TOKEN": 1}, {"newPassword": "[hidden]", "X-CSRF-TOKEN": "[hidden]"}),
        ([{"list": [{"clientId": "x"}]}], [{"list": [{"clientId": "[hidden]"}]}]),
        (
            {"pin": 1, "pinned": 1, "code": "x", "statusCode": 0},
            {"pin": "[hidden]", "pinned": 1, "code": "x", "statusCode": 0},
        ),
        ("token", "token"),
        ({"otp": "1", "pwd": "x", "cvv": 1, "jwt": "x"}, dict.fromkeys(("otp", "pwd", "cvv", "jwt"), "[hidden]")),
        (["a", '{"pin": 1, "n": [2]}', '{"n": 1}'], ["a", '{"pin":"[hidden]","n":[2]}', '{"n": 1}']),
        ({"link": "https://a.example/?jwt=x&n=1"}, {"link": "https://a.example/?jwt=[hidden]&n=1"}),
        ({"raw": ' {"otp": 1}\n'}, {"raw": ' {"otp":"[hidden]"}\n'}),
        ([{"name": "pwd", "value": "x"}], [{"name": "pwd", "value": "[hidden]"}]),
        ({"name": "colour", "value": "x"}, {"name": "colour", "value": "x"}),
        ({"grant_type": "x", "code": "y"}, {"grant_type": "x", "code": "[hidden]"}),
        ({"error": {"code": 404}, "countryCode": "DE"}, {"error": {"code": 404}, "countryCode": "DE"}),
        ({"raw": '{"a": "{\\"otp\\": 1}"}'}, {"raw": '{"a":"{\\"otp\\":\\"[hidden]\\"}"}'}),
    ],
)
def test_members_with_secret_names_are_masked(value: JSON, shown: JSON) -> None:
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a?access_token=x&b=1&code=y", "/a?access_token=[hidden]&b=1&code=[hidden]"),
        ("password=a=b&x=1", "password=[hidden]&x=1"),
        ("a=1&name=password&value=x%20y&b=1", "a=1&name=password&value=[hidden]&b=1"),
        ("value=x&name=password", "value=[hidden]&name=password"),
        ("name=colour&value=x", "name=colour&value=x"),
        ("user = kate\npassword = x\nn = 1", "user = kate\npassword = [hidden]\nn = 1"),
        ("/workbins/1?operationName=Subscribe", "/workbins/1?operationName=Subscribe"),
        ('{"password" : "x", "user": "kate", broken', '{"password" : "[hidden]", "user": "kate", broken'),
        ('{"secret":"cut o', '{"secret":"[hidden]'),
        ("{userName: kate, password: x, n: 1}", "{userName: kate, password: [hidden], n: 1}"),
        ("no pairs", "no pairs"),
        ('{"pin": 12, "n": 1, broken', '{"pin": [hidden], "n": 1, broken'),
        ('{"password":"a\\"b","n":1, broken', '{"password":"[hidden]","n":1, broken'),
        ('{"n": 1, "credentials": ["a", {"b": 1}], broken', '{"n": 1, "credentials": [hidden]'),
        ('{"d":"{\\"pin\\":\\"12\\",\\"n\\":1}', '{"d":"{\\"pin\\":\\"[hidden]\\",\\"n\\":1}'),
        ("{'password': 'x, y', 'n': 1}", "{'password': '[hidden]', 'n': 1}"),
        ("Credentials(user='kate', password='a b')", "Credentials(user='kate', password='[hidden]')"),
        ("Authorization: Basic YTpi", "Authorization: [hidden]"),
        ("/me;jsessionid=A1?x=1", "/me;jsessionid=[hidden]?x=1"),
        ("a=1; JSESSIONID=x; b=2", "a=1; JSESSIONID=[hidden] b=2"),
        ("pin=a;b?c&n=1", "pin=[hidden]&n=1"),
        ("pass%77ord=x&b=1", "pass%77ord=[hidden]&b=1"),
        ("key=x&keyboard=1&state=y", "key=[hidden]&keyboard=1&state=[hidden]"),
        ("/a?message=%5B%7B%22otp%22%3A1%7D%5D&n=1", "/a?message=[%7B%22otp%22:%22[hidden]%22%7D]&n=1"),
        ("/a?next=%2Fb%3Fjwt%3Dx&n=%41", "/a?next=/b?jwt=[hidden]&n=%41"),
        ("/a?next=%2Fb%3Fu%3D%252Fc%253Fjwt%253Dx", "/a?next=/b?u=/c?jwt=[hidden]"),
        ("/login/otp=1", "/login/otp=[hidden]"),
        ("/api/token/a1/x", "/api/token/[hidden]/x"),
        ("/token/refresh", "/token/refresh"),
        ("/reset-password/a1?n=1", "/reset-password/[hidden]?n=1"),
        ("/app#access_token=x&n=1", "/app#access_token=[hidden]&n=1"),
        ("/a?n=1;token=x", "/a?n=1;token=[hidden]"),
        ("<a><pwd>x</pwd><n>1</n></a>", "<a><pwd>[hidden]</pwd><n>1</n></a>"),
        ('<user pwd="x" n="1"/>', '<user pwd="[hidden]" n="1"/>'),
        ('<entry key="otp">x</entry>', '<entry key="otp">[hidden]</entry>'),
        ('<input name="_csrf" value="x">', '<input name="_csrf" value="[hidden]">'),
        ('{"name": "pwd", "value": "x", broken', '{"name": "pwd", "value": "[hidden]", broken'),
        ("{'packed': '{\\n  \"otp\": \"x y\"\\n}'}", "{'packed': '{\\n  \"otp\": \"[hidden]\"\\n}'}"),
        ("/a;n=1/otp=1", "/a;n=1/otp=[hidden]"),
        ("/a?n=1#jwt=1", "/a?n=1#jwt=[hidden]"),
        ("/a?n=1?pwd=x%20y", "/a?n=1?pwd=[hidden]"),
        (
            "user[otp]=1&user%5Bpin%5D=2&pin[]=3&user.cvv=4&otp[n]=5",
            "user[otp]=[hidden]&user%5Bpin%5D=[hidden]&pin[]=[hidden]&user.cvv=[hidden]&otp[n]=5",
        ),
        (
            'form-data; name="otp"\r\nContent-Type: text/plain\r\n\r\n1\r\n2\r\n--x\r\nform-data; name="n"\r\n\r\n1',
            'form-data; name="otp"\r\nContent-Type: text/plain\r\n\r\n[hidden]\r\n--x\r\nform-data; name="n"\r\n\r\n1',
        ),
        ('{"pwd":"a\\\\","otp":"x","n":1, broken', '{"pwd":"[hidden]","otp":"[hidden]","n":1, broken'),
        ('{"d":"{\\"pwd\\":\\"a\\\\\\"b\\",\\"n\\":1}', '{"d":"{\\"pwd\\":\\"[hidden]\\",\\"n\\":1}'),
    ],
)
def test_values_of_a_query_a_form_and_half_json_are_masked_by_the_same_names(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "1" * 1_000_000,
        '"' * 1_000_000,
        "a=" * 500_000,
        '"a":' * 250_000,
        "a " * 500_000,
        "{a: " * 250_000,
        "\\" * 1_000_000,
        '\\"' * 500_000,
        "{" * 500_000 + "}",
        "?a=" * 300_000,
        "<a>" * 300_000 + "</a>",
        "<name>a</name>" * 70_000,
        "/token" * 150_000,
        "a=" + "%25" * 300_000,
        "a=%41&" * 100_000,
        "?a=%41" * 100_000,
        'form-data; name="a"' * 50_000,
        'form-data; name="a"\n\n' * 50_000,
    ],
)
def test_a_long_text_is_masked_quickly(text: str) -> None:
    assert masked_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '"pin":"' * 100_000,
        '"pin":1,' * 100_000,
        "?key=&" * 100_000,
        "<pwd>x" * 100_000 + "</a>",
        "/token/a1" * 100_000,
        "pin: x," * 100_000,
        '"pin":"' + "\\" * 1_000_000,
    ],
)
def test_a_long_text_with_many_secrets_is_masked_quickly(text: str) -> None:
    assert "[hidden]" in masked_text(text)


# ---------------------------------------------------------------------- names
@pytest.mark.parametrize(
    "place",
    [f"/body/{name}" for name in f"{SECRETS} {PERSONAL}".split()]
    + [f"/query/{name}" for name in f"{SECRETS} {QUERY_SECRETS} {PERSONAL} {QUERY_PERSONAL}".split()]
    + [f"/headers/x-{name}" for name in SECRETS.split() if name != "cookies"],
)
def test_a_near_miss_hides_what_the_policy_replaces(place: str) -> None:
    assert is_hidden_at(place)


@pytest.mark.parametrize("name", KEPT.split())
def test_a_near_miss_shows_what_the_policy_keeps(name: str) -> None:
    assert not is_hidden_at(f"/body/{name}")


def test_the_names_of_the_parts_of_a_request_hide_nothing() -> None:
    places = ("", "/body", "/query", "/headers", "/data", "/body/operationName", "/body/0")
    assert not any(is_hidden_at(place) for place in places)


@pytest.mark.parametrize(
    "name", ["X-Otp", "Cookie", "Set-Cookie", "X-Auth-Key", "Api_Key", "X-Pass-Code", "My-Pin-2", "X_Otp"]
)
def test_a_header_field_is_secret_by_one_word_of_its_name(name: str) -> None:
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name", ["Content-Type", "Accept", "Host", "X-Requested-With", "User-Agent", "X-Pinned", "X-Keyboard"]
)
def test_other_header_fields_are_shown(name: str) -> None:
    assert not is_secret_header(name)


@pytest.mark.parametrize("name", ["Access-Key", "access_key", "PRIVATE_KEY", "verification_code", "tokenValue"])
def test_a_name_is_secret_in_any_spelling(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["tokens", "tokenId", "token_id", "token-1", "access_token.value.token"])
def test_the_names_of_tokens_are_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["tokenizer", "tokenise", "workbinName", "keyboard", "Monkey", "spin", "pinned.n"])
def test_names_that_only_contain_the_name_of_a_secret_are_shown(name: str) -> None:
    assert not is_secret(name)
    assert not is_secret(name, query=True)


def test_a_query_has_more_secret_names_than_json() -> None:
    assert [is_secret("state", query=query) for query in (False, True)] == [False, True]
    assert masked({"state": 1, "n": {"state": 1}}, query=True) == {"state": "[hidden]", "n": {"state": 1}}


def test_personal_data_is_hidden_only_on_request() -> None:
    value: JSON = {"email": "a@b", "n": ['{"userName":"kate"}', "/a?j_username=kate"]}
    assert masked(value) == value
    assert masked(value, personal=True) == {
        "email": "[hidden]",
        "n": ['{"userName":"[hidden]"}', "/a?j_username=[hidden]"],
    }


def test_masking_is_idempotent() -> None:
    for text in ("password=x&b=1", '{"pin": 12, "broken', "{password: x, n: 1}", '{"a": "{\\"pin\\": [1', "otp: 1"):
        assert masked_text(masked_text(text)) == masked_text(text)
