"""Redaction, as a table: the results for the sensitive data of GWS, and the values that are kept."""

from __future__ import annotations

import base64
import re

import pytest

from cometreel.jsonvalue import JSON, JSONObject, decode
from cometreel.recording import load_policy
from cometreel.recording.header_redaction import HeaderRedactor, split_url
from cometreel.recording.pseudonyms import Pseudonyms
from cometreel.recording.redaction import Redactor
from cometreel.recording.secret import Secret
from cometreel.wire import Headers

KEY = Secret(b"k" * 32)
UUID = "861640a2-aaaa-4bbb-8ccc-1234567890ab"
USER = "28383e5523c7479cae4afa8df88d66df"


def redactor(policy: str = "default") -> Redactor:
    return Redactor(load_policy(policy), KEY)


NAME = r"[a-z]{10}"
CASES = [
    # secrets
    ("password", "tr0ub4dor", "hidden"),
    ("oldPassword", "tr0ub4dor", "hidden"),
    ("newPassword", ["a", "b"], "hidden"),
    ("access_token", "abcdef", "hidden"),
    ("secureKey", "0d59a1f2b3", r"s[0-9a-f]{20}"),
    ("clientId", "1k2j3h4g5f6d", r"s[0-9a-f]{20}"),
    ("contactCenterId", UUID, r"s[0-9a-f]{20}"),
    ("x-api-key", "12345", "hidden"),
    # personal data keeps its shape
    ("userName", "kate", NAME),
    ("firstName", "Kate", r"[A-Z][a-z]{9}"),
    ("lastName", "O'Neil Smith", r"[A-Z][a-z]{9} [A-Z][a-z]{9}"),
    ("emailAddress", "kate.smith@corp.example", NAME + r"@example\.invalid"),
    ("employeeId", "E-4711", r"[A-Z][a-z]{9}"),
    ("loginCode", "47110815", r"[1-9]\d{7}"),
    ("phoneNumber", "+49 (30) 123-456", r"\+[1-9]\d \(\d\d\) \d{3}-\d{3}"),
    ("e164Number", "+4930123456", r"\+[1-9]\d{9}"),
    ("dnis", 5551234, 0),
    ("subject", "Your invoice 4711", r"text " + NAME),
    ("text", "call me", r"text " + NAME),
    ("displayName", "Kate Smith", r"[A-Z][a-z]{9} [A-Z][a-z]{9}"),
    # kept
    ("userName", "", ""),
    ("password", None, None),
    ("changePasswordOnLogin", True, True),
    ("referenceId", 67, 67),
    ("statusCode", 0, 0),
    ("messageType", "WorkbinStatsMessage", "WorkbinStatsMessage"),
    ("receivedDate", "2016-04-08 15:05:57.000+0300", r"2016-04-08 15:05:57\.000\+0300"),
    ("Count", 1, 1),
    # identifiers are kept with `default`
    ("workbinOwner", "Place1", "Place1"),
    ("Owner", USER, USER),
    ("id", UUID, UUID),
    ("assignedTo", "agent.one", r"agent\.one"),
    # error messages of the server
    ("statusMessage", "Access denied", "Access denied"),
    (
        "statusMessage",
        "Device '7001@sip' is not registered.",
        r"Device '" + NAME + r"@example\.invalid' is not registered\.",
    ),
    # values without a rule
    ("unknown", "write to kate@corp.example now", r"write to " + NAME + r"@example\.invalid now"),
    ("unknown", "call +49 30 1234567 now", r"call \+[1-9]\d \d\d \d{7} now"),
    ("uri", "http://10.0.0.5:8080/api/v2/workbins", r"http://host-[a-z]{8}\.example\.invalid/api/v2/workbins"),
    (
        "uri",
        "/api/v2/x?fields=*&access_token=abc123def&state=active",
        r"/api/v2/x\?fields=\*&access_token=hidden&state=hidden",
    ),
    ("unknown", "see /x?userName=kate%20s and a=b", r"see /x\?userName=[a-z]{10}%20[a-z]{10} and a=b"),
    ("unknown", "see /x?subject=Dear%20Kate and a=b", r"see /x\?subject=text%20[a-z]{10} and a=b"),
    ("unknown", "see /x?count=12 and workbinOwner=Place1", r"see /x\?count=12 and workbinOwner=Place1"),
    ("sessionId", 1234567, "hidden"),
    ("deviceUri", "https://u:p@gws/x?y", r"https://host-[a-z]{8}\.example\.invalid/x\?y"),
    ("unknown", "Bearer abcdef123456", "hidden"),
    ("unknown", "x eyJhbGciOi.eyJzdWIi.c2ln y", "x hidden y"),
    ("unknown", '{"password":"tr0ub4dor"}', r'\{"password":"hidden"\}'),
]


@pytest.mark.parametrize(("key", "value", "expected"), CASES)
def test_values_are_redacted_by_their_key(key: str, value: JSON, expected: JSON) -> None:
    redacted, marks = redactor().redact_json({key: value})
    assert isinstance(redacted, dict)
    if isinstance(expected, str) and isinstance(value, str | list):
        assert isinstance(redacted[key], str)
        assert re.fullmatch(expected, str(redacted[key]))
    elif key == "dnis":
        assert isinstance(redacted[key], int)
        assert (redacted[key] != value, len(str(redacted[key]))) == (True, 7)
    else:
        assert redacted[key] == expected
        assert type(redacted[key]) is type(expected)
    changed = redacted[key] != value
    assert bool(marks.to_json()) == changed


def test_all_values_and_keys_of_user_data_are_personal() -> None:
    redacted, marks = redactor().redact_json(
        {"userData": {"WWE_PARTY_7001": "x", "call 5551234": {"Amount": 12.5, "VIP": True, "Note": None}, "a@b.de": 1}}
    )
    assert isinstance(redacted, dict)
    tree = redacted["userData"]
    assert isinstance(tree, dict)
    party, call, mail = tree
    assert re.fullmatch(r"WWE_PARTY_[1-9]\d{3}", party)
    assert re.fullmatch(r"call [1-9]\d{6}", call)
    assert re.fullmatch(r"[a-z]{10}@example\.invalid", mail)
    inner = tree[call]
    assert isinstance(inner, dict)
    assert inner.keys() == {"Amount", "VIP", "Note"}
    assert (inner["Amount"] != 12.5, inner["VIP"], inner["Note"]) == (True, True, None)
    assert "7001" not in str(redacted)
    assert "5551234" not in str(redacted)
    assert marks.personal == ["/userData"]


def test_equal_values_get_equal_tokens_everywhere() -> None:
    redacted, _ = redactor().redact_json(
        {
            "userName": "agent-1",
            "userData": {"WWE_PARTY_+4930123456": "agent-1"},
            "phoneNumber": "+49 30 123456",
            "x": "agent-1",
        }
    )
    assert isinstance(redacted, dict)
    data = redacted["userData"]
    assert isinstance(data, dict)
    ((key, value),) = data.items()
    assert redacted["userName"] == value == redacted["x"]
    assert key.removeprefix("WWE_PARTY_") == str(redacted["phoneNumber"]).replace(" ", "")


@pytest.mark.parametrize("user", ["kate", "agent-1", "a@b.example", "4711"])
@pytest.mark.parametrize("key", ["owner", "ownerId", "workbinOwner", "assignedTo", "createdBy", "agent", "userId"])
def test_the_name_of_a_user_has_one_replacement_whatever_the_key(user: str, key: str) -> None:
    redacts = redactor()
    redacted, marks = redacts.redact_json({key: user, "n": [{"user": {"userName": user}}], "id": user})
    assert isinstance(redacted, dict)
    assert user not in str(redacted)
    assert redacted["n"] == [{"user": {"userName": redacted[key]}}]
    assert redacted["id"] == redacted[key]
    assert "/n/0/user/userName" in marks.personal
    assert redacts.redact_json({key: [user]})[0] == {key: [redacted[key]]}


def test_an_identifier_that_equals_another_value_is_kept() -> None:
    redacted, _ = redactor().redact_json({"loginCode": "a-4711", "userName": "kate", "place": "a-4711", "type": "kate"})
    assert isinstance(redacted, dict)
    assert (redacted["place"], redacted["type"]) == ("a-4711", "kate")


def test_tokens_depend_on_the_key() -> None:
    one, other = Pseudonyms(Secret(b"1" * 32)), Pseudonyms(Secret(b"2" * 32))
    assert one.same_shape("kate") == Pseudonyms(Secret(b"1" * 32)).same_shape("kate")
    for way in ("same_shape", "text", "token", "host", "digits"):
        assert getattr(one, way)("4711-kate") != getattr(other, way)("4711-kate")


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (UUID, r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        (UUID.upper(), r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}"),
        (USER, r"[0-9a-f]{32}"),
        ("00016aB14RQD006K", r"[0-9A-Z]{16}"),
        ("7001", r"[1-9]\d{3}"),
        ("a@b.c", r"[a-z]{10}@example\.invalid"),
        ("Kate", r"[A-Z][a-z]{9}"),
        ("kate smith", r"[a-z]{10} [a-z]{10}"),
    ],
)
def test_a_pseudonym_has_the_shape_of_its_value(value: str, shape: str) -> None:
    redacted = Pseudonyms(KEY).same_shape(value)
    assert redacted != value
    assert re.fullmatch(shape, redacted)


def test_strict_replaces_equal_identifiers_by_equal_pseudonyms() -> None:
    redacted, marks = redactor("strict").redact_json(
        {
            "workbinOwner": "Place1",
            "id": UUID,
            "workbinStats": {UUID: {"Owner": "Place1", "Type": "Place"}},
            "uri": f"http://h/{UUID}",
        }
    )
    assert isinstance(redacted, dict)
    ident, stats = redacted["id"], redacted["workbinStats"]
    assert isinstance(stats, dict)
    assert isinstance(ident, str)
    assert stats == {ident: {"Owner": redacted["workbinOwner"], "Type": "Place"}}
    assert str(redacted["uri"]).endswith(ident)
    assert "Place1" not in str(redacted)
    assert UUID not in str(redacted)
    assert marks.identifiers["/workbinOwner"] == "owner"


def test_the_envelope_of_a_bayeux_message_is_kept_except_the_client_id() -> None:
    redacted, marks = redactor("strict").redact_messages(
        [
            {
                "channel": "/service/chat",
                "id": "7",
                "clientId": "secret-client",
                "data": {"text": "hello"},
                "ext": {"token": "x1y2"},
            }
        ]
    )
    message = redacted[0]
    assert isinstance(message, dict)
    assert (message["channel"], message["id"]) == ("/service/chat", "7")
    assert re.fullmatch(r"s[0-9a-f]{20}", str(message["clientId"]))
    assert (marks.secret, marks.personal) == (["/0/clientId", "/0/ext/token"], ["/0/data/text"])


def test_marks_never_show_a_key_that_was_replaced() -> None:
    _, marks = redactor().redact_json({"kate@corp.example": {"password": "x"}})
    assert "kate" not in str(marks.to_json())


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEow==\n-----END PRIVATE KEY-----"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (' {"password": "S"}\n', ' {"password":"hidden"}\n'),
        ('\n[{"a": "{\\"otp\\": \\"S\\"}"}]', '\n[{"a":"{\\"otp\\":\\"hidden\\"}"}]'),
        ("/app#access_token=S&expires_in=5", "/app#access_token=hidden&expires_in=5"),
        ("/app;token=S;v=1/x", "/app;token=hidden;v=1/x"),
        ("/app;pwd=S?a=1", "/app;pwd=hidden?a=1"),
        ("/app?a=1;token=S", "/app?a=1;token=hidden"),
        ("/api/token/S/x", "/api/token/TOKEN/x"),
        ("/api/pwd/S", "/api/pwd/TOKEN"),
        ("/api/session/S?a=1", "/api/session/TOKEN?a=1"),
        ("see /app/reset-password/S now", "see /app/reset-password/TOKEN now"),
        ("/app/invite/S", "/app/invite/TOKEN"),
        ("login with password=S failed", "login with password=hidden failed"),
        ("the Password: S", "the Password: hidden"),
        ("user kate, pwd: 'S'", "user kate, pwd: 'hidden'"),
        ("<a><wsse:Password type='x'>S</wsse:Password></a>", "<a><wsse:Password type='x'>hidden</wsse:Password></a>"),
        ('<user name="kate" pwd="S"/>', '<user name="kate" pwd="hidden"/>'),
        ('<entry key="password">S</entry>', '<entry key="password">hidden</entry>'),
        ('<property name="apiKey" value="S"/>', '<property name="apiKey" value="hidden"/>'),
        ("<p><name>token</name><value>S</value></p>", "<p><name>token</name><value>hidden</value></p>"),
        ("<token><![CDATA[S]]></token>", "<token>hidden</token>"),
        ('broken {"name": "pwd", "value": "S", "n": 1', 'broken {"name": "pwd", "value": "hidden", "n": 1'),
    ],
)
def test_a_secret_in_a_text_is_recognised_and_known_afterwards(text: str, expected: str) -> None:
    secret = "tr0ub4dorX"
    redacts = redactor()
    expected = expected.replace("TOKEN", redacts.pseudonyms.token(secret))
    assert redacts.text(text.replace("S", secret, 1)) == expected
    assert redacts.secrets.scrub_text(f"x{secret}", lambda _: "*") == "x*"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"it is {encoded('kate:tr0ub4dor')}, yes", "it is hidden, yes"),
        (f"a {PEM} b", "a hidden b"),
        ("password: required", "password: required"),
        ("/token/refresh", "/token/refresh"),
        ("see state=active", "see state=active"),
        ("<name>kate</name><value>5</value>", "<name>kate</name><value>5</value>"),
        ("<tokenType>Bearer</tokenType>", "<tokenType>Bearer</tokenType>"),
        ("Error 404: code: 404", "Error 404: code: 404"),
    ],
)
def test_other_texts(text: str, expected: str) -> None:
    assert redactor().text(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "password", "value": "S"}, {"name": "password", "value": "hidden"}),
        ([{"key": "pwd", "values": ["S"]}], [{"key": "pwd", "values": "hidden"}]),
        ({"name": "colour", "value": "S"}, {"name": "colour", "value": "S"}),
        ({"error": {"code": 404, "countryCode": "DE"}}, {"error": {"code": 404, "countryCode": "DE"}}),
        ({"grant_type": "authorization_code", "code": "S"}, {"grant_type": "authorization_code", "code": "hidden"}),
        (
            {"otpCode": 1, "cvv2": 2, "pwd1": "S", "mfa": "S"},
            dict.fromkeys(("otpCode", "cvv2", "pwd1", "mfa"), "hidden"),
        ),
    ],
)
def test_secrets_are_recognised_by_their_name(value: JSON, expected: JSON) -> None:
    assert redactor().redact_json(value)[0] == expected


def test_no_repr_contains_a_secret() -> None:
    redacted = redactor()
    redacted.secrets.add("tr0ub4dor&3")
    assert "tr0ub4dor" not in repr(redacted) + repr(redacted.secrets) + repr(KEY) + str(KEY)
    assert "kkkk" not in repr(KEY) + str(KEY)


def test_a_cached_head_is_redacted_again_when_results_may_change():
    """A name in a repeated request may have become known in between."""
    redacts = redactor()
    heads = HeaderRedactor(redacts)
    request = ("GET", "/files/jane-doe7", Headers([("Accept", "*/*")]))
    assert heads.request(*request)["path"] == "/files/jane-doe7"
    redacts.name("jane-doe7")
    assert "jane-doe7" not in str(heads.request(*request))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://gws.example:8090/api?x=1#top", ("/api", "x=1")),
        ("http://gws.example?x=/1", ("/", "x=/1")),
        ("/login?back=https://gws.example/api", ("/login", "back=https://gws.example/api")),
    ],
)
def test_a_url_and_a_request_target_are_split_alike(url: str, expected: tuple[str, str]):
    assert split_url(url) == expected


# ---------------------------------------------------------------------- what is known afterwards
def later(redacts: Redactor, text: str) -> str:
    """Return what becomes of a text in a later line; `*` replaces a known secret."""
    return redacts.secrets.scrub_text(text, lambda _: "*")


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ({"password": {"old": "tr0ub4dorX", "new": ["s3cr3tword9"]}}, {"password": "hidden"}),
        ({"password": [{"old": {"value": "tr0ub4dorX"}}, "s3cr3tword9"]}, {"password": "hidden"}),
        (
            {"userData": {"password": "tr0ub4dorX", "inner": [{"pin": "s3cr3tword9"}]}},
            {"userData": {"password": "hidden", "inner": [{"pin": "hidden"}]}},
        ),
    ],
)
def test_secrets_inside_a_hidden_or_personal_object_are_known_afterwards(value: JSON, redacted: JSON) -> None:
    redacts = redactor()
    assert redacts.redact_json(value)[0] == redacted
    assert later(redacts, "old=tr0ub4dorX, new=s3cr3tword9") == "old=*, new=*"


def test_a_password_in_basic_credentials_in_a_text_is_known_afterwards() -> None:
    redacts = redactor()
    assert redacts.text(f"sent {encoded('kate:tr0ub4dorX')}") == "sent hidden"
    assert later(redacts, "tr0ub4dorX") == "*"


def test_the_user_of_basic_credentials_in_a_text_is_replaced_where_it_is_an_owner() -> None:
    redacts = redactor()
    redacts.text(f"sent {encoded('kate.smith:tr0ub4dorX')}")
    value, marks = redacts.redact_json({"owner": "kate.smith"})
    assert value != {"owner": "kate.smith"}
    assert marks.identifiers == {"/owner": "user"}


@pytest.mark.parametrize(("value", "known"), [("x7Rq91kPz0", "*"), ("activeusers", "activeusers")])
def test_a_parameter_of_a_link_is_known_afterwards_unless_it_may_be_a_word(value: str, known: str) -> None:
    redacts = redactor()
    assert redacts.text(f"/app?a=1&state={value}") == "/app?a=1&state=hidden"
    assert later(redacts, value) == known


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("/a?access_token=tr0ub4dor9", []),
        ("/a", [("X-Api-Key", "tr0ub4dor9")]),
        ("/a", [("Authorization", "Bearer tr0ub4dor9")]),
        ("/a", [("Authorization", f"Basic {encoded('kate:tr0ub4dor9')}")]),
        ("/a", [("Cookie", "anything=tr0ub4dor9")]),
    ],
)
def test_a_secret_in_the_head_of_a_request_is_known_afterwards(url: str, headers: list[tuple[str, str]]) -> None:
    redacts = redactor()
    assert "tr0ub4dor9" not in str(HeaderRedactor(redacts).request("GET", url, Headers(headers)))
    assert later(redacts, "it is tr0ub4dor9") == "it is *"


def test_a_password_that_equals_the_name_of_a_user_or_an_owner_does_not_replace_the_name() -> None:
    redacts = redactor()
    redacts.user("kate.smith-7")
    redacts.redact_json({"workbinOwner": "Sales-West-1"})
    redacts.redact_json({"password": "kate.smith-7", "pin": "Sales-West-1"})
    assert later(redacts, "kate.smith-7 of Sales-West-1") == "kate.smith-7 of Sales-West-1"


def test_a_common_word_that_is_a_name_stays_in_later_texts() -> None:
    redacts = redactor()
    redacts.redact_json({"lastName": "Baker", "firstName": "kate-7"})
    assert redacts.text("Baker") == "Baker"
    assert "kate-7" not in redacts.text("kate-7")


@pytest.mark.parametrize(
    "text", ['{"owner": "kate", "user": {"userName": "kate"}}', '[{"a": "kate"}, {"login": "kate"}]']
)
def test_the_name_of_a_user_is_replaced_in_all_of_a_message_or_a_json_text(text: str) -> None:
    """The key that says that it is a name comes after another one."""
    assert "kate" not in redactor().text(text.replace('"a"', '"owner"'))
    data = decode(text.replace('"a"', '"owner"'))
    messages, _ = redactor().redact_messages([{"channel": "/x", "data": data}])
    assert "kate" not in str(messages)


# ---------------------------------------------------------------------- marks
def test_json_in_a_text_keeps_the_marks_of_the_body() -> None:
    _, marks = redactor().redact_json({"password": "tr0ub4dorX", "raw": '{"pin": 1}', "userName": "kate"})
    assert marks.to_json() == {"secret": ["/password"], "personal": ["/raw", "/userName"]}


def test_the_marks_name_the_number_of_the_message() -> None:
    messages: list[JSONObject] = [{"channel": "/x", "clientId": "1k2j3h4g5f6d"} for _ in range(3)]
    _, marks = redactor().redact_messages(messages)
    assert marks.secret == ["/0/clientId", "/1/clientId", "/2/clientId"]


def test_a_text_that_is_replaced_again_is_marked_again() -> None:
    redacts = redactor()
    for _ in range(2):
        assert redacts.redact_json({"a": "write to kate@corp.example"})[1].personal == ["/a"]


def test_strict_marks_an_id_under_an_unknown_key() -> None:
    redacted, marks = redactor("strict").redact_json({"thing": UUID, "byId": {UUID: 1}})
    assert UUID not in str(redacted)
    assert marks.identifiers == {"/thing": "thing"}


# ---------------------------------------------------------------------- messages, members and heads
def test_other_members_of_a_bayeux_message_are_redacted() -> None:
    message: JSONObject = {
        "channel": "/x",
        "advice": {"hosts": ["http://gws.corp/cometd"]},
        "password": "tr0ub4dorX",
        "error": "402::kate@corp.example",
    }
    (redacted,), marks = redactor().redact_messages([message])
    assert isinstance(redacted, dict)
    assert (redacted["password"], marks.secret) == ("hidden", ["/0/password"])
    for text in ("gws.corp", "kate"):
        assert text not in str(redacted)


@pytest.mark.parametrize("names", [("pin", "colour"), ("colour", "pin")])
def test_each_value_has_the_rule_of_the_name_beside_it(names: tuple[str, str]) -> None:
    value: JSON = [{"name": name, "value": "tr0ub4dorX"} for name in names]
    shown = {"pin": "hidden", "colour": "tr0ub4dorX"}
    assert redactor().redact_json(value)[0] == [{"name": name, "value": shown[name]} for name in names]
    heads = HeaderRedactor(redactor())
    query = "&".join(f"name={name}&value=tr0ub4dorX" for name in names)
    assert heads.request("GET", f"/a?{query}", Headers())["query"] == "&".join(
        f"name={name}&value={shown[name]}" for name in names
    )


def test_a_user_who_becomes_known_is_replaced_in_an_equal_request() -> None:
    redacts = redactor()
    heads = HeaderRedactor(redacts)
    request = ("GET", "/list?owner=kate", Headers())
    assert heads.request(*request)["query"] == "owner=kate"
    redacts.user("kate")
    assert "kate" not in str(heads.request(*request))


def test_the_announced_field_of_the_csrf_token_is_a_secret_from_then_on() -> None:
    heads = HeaderRedactor(redactor())
    request = ("GET", "/a", Headers([("X-Own", "t0ken-1234")]))
    assert "hid-headers" not in heads.request(*request)
    heads.reply(200, Headers([("X-CSRF-HEADER", "X-Own")]))
    assert heads.request(*request)["hid-headers"] == ["x-own"]


def test_the_login_name_of_a_request_is_replaced_where_it_is_an_owner() -> None:
    redacts = redactor()
    HeaderRedactor(redacts).request("GET", "/a", Headers([("Authorization", f"Basic {encoded('kate:tr0ub4dor9')}")]))
    assert "kate" not in str(redacts.redact_json({"owner": "kate"})[0])


def test_a_cookie_that_the_server_deletes_identifies_nobody() -> None:
    fields = Headers([("Set-Cookie", "sid=0a1b2c3d4e5f; Path=/; Max-Age=0"), ("Set-Cookie", "own=9f8e7d6c5b4a")])
    assert list(HeaderRedactor(redactor()).reply(200, fields)["cookies"]) == ["own"]  # type: ignore[arg-type]  # an object


def test_of_a_repeated_cookie_the_first_counts() -> None:
    def identity(*values: str) -> JSON:
        fields = Headers([("Cookie", f"JSESSIONID={value}") for value in values])
        return HeaderRedactor(redactor()).request("GET", "/a", fields)["who"]

    assert identity("one-1234", "two-1234") == identity("one-1234") != identity("two-1234")


def test_a_host_is_the_same_with_credentials_and_with_its_default_port() -> None:
    heads = HeaderRedactor(redactor())
    urls = ["http://gws.corp/a", "http://kate:pw@gws.corp/a", "http://GWS.corp:80/a", "https://gws.corp:443/a"]
    assert len({str(heads.request("GET", url, Headers())["hosts"]) for url in urls}) == 1
    assert (
        heads.request("GET", "http://gws.corp:8080/a", Headers())["hosts"]
        != heads.request("GET", urls[0], Headers())["hosts"]
    )


def test_the_case_of_a_value_does_not_change_the_pseudonym_of_another() -> None:
    names = Pseudonyms(KEY)
    upper, lower = names.same_shape("Kate"), names.same_shape("kate")
    assert (upper[0].isupper(), lower) == (True, Pseudonyms(KEY).same_shape("kate"))
    for value in (UUID, USER):
        assert names.same_shape(value.upper()) == names.same_shape(value).upper()
