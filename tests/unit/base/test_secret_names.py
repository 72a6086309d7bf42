"""Names of secrets and of personal data: the same grammar decides in recordings and in masking."""

from __future__ import annotations

import pytest

from cometreel.recording import load_policy
from cometreel.recording.policy import Treatment
from cometreel.secret_names import is_secret_header, is_secret_segment, member_name, treatment_of, words_of
from tests.secret_name_table import KEPT, PERSONAL, QUERY_PERSONAL, QUERY_SECRETS, SECRETS

ROWS = [
    *((name, "secret", False) for name in SECRETS.split()),
    *((name, "secret", True) for name in QUERY_SECRETS.split()),
    *((name, "personal", False) for name in PERSONAL.split()),
    *((name, "personal", True) for name in QUERY_PERSONAL.split()),
    *((name, "", False) for name in KEPT.split()),
]
CLASSES = {"secret": "secret", "token": "secret", "name": "personal", "text": "personal", "tree": "personal"}


@pytest.mark.parametrize(("name", "found", "query"), ROWS)
def test_a_name_has_the_same_class_in_recordings_and_in_masking(name: str, found: str, *, query: bool) -> None:
    policy = load_policy("default")
    rule = policy.query_rule(name) if query else policy.key_rule(name)
    recorded = CLASSES.get(rule.treatment.value, "") if rule else ""
    assert (recorded, CLASSES.get(treatment_of(name, query=query) or "", "")) == (found, found)


def test_the_table_is_long() -> None:
    assert len({row[0] for row in ROWS}) >= 300


def test_an_error_message_is_redacted_as_a_message() -> None:
    policy = load_policy("default")
    rules = [policy.key_rule(name) for name in ("statusMessage", "errorMessage")]
    assert [rule.treatment for rule in rules if rule is not None] == [Treatment.MESSAGE, Treatment.MESSAGE]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("newPassword", "new password"),
        ("new_password", "new password"),
        ("NEW-PASSWORD2", "new password"),
        ("newpasswords", "new password"),
        ("SAMLResponse", "saml response"),
        ("user[pin]", "user pin"),
        ("cvv2", "cvv"),
        ("monkey", "monkey"),
        ("2faCode", "2fa code"),
    ],
)
def test_a_name_is_split_into_words(name: str, words: str) -> None:
    assert " ".join(words_of(name)) == words


@pytest.mark.parametrize(
    ("before", "segment", "secret"),
    [
        ("token", "Zx81kQ", True),
        ("token", "refresh", False),
        ("session", "a8f3b2", True),
        ("session", "start", False),
        ("sessions", "a8f3b2c9d0", True),
        ("sessions", "12", False),
        ("reset-password", "4f2a", True),
        ("password-reset", "Zx81kQabc", True),
        ("invite", "QWERTZUI", True),
        ("pwd", "tr0ub4dor", True),
        ("otp", "123456", True),
        ("api", "v2", False),
        ("auth", "realms", False),
        ("workbins", "8af1", False),
        ("token", "v2", False),
        ("oauth", "token", False),
    ],
)
def test_a_path_segment_is_secret_by_the_one_before(before: str, segment: str, *, secret: bool) -> None:
    assert is_secret_segment(before, segment) is secret


@pytest.mark.parametrize(
    ("members", "key", "name"),
    [
        ({"name": "password", "value": "x"}, "value", "password"),
        ({"Key": "apiKey", "Value": "x"}, "Value", "apiKey"),
        ({"name": "colour", "value": "x"}, "value", "value"),
        ({"grant_type": "authorization_code", "code": "x"}, "code", "authorization_code"),
        ({"statusCode": 4, "code": 404}, "code", "code"),
    ],
)
def test_a_member_is_named_by_its_sibling(members: dict[str, str | int], key: str, name: str) -> None:
    assert member_name(dict(members), key) == name


NOT_SECRET_HEADERS = """
Link X-Total-Count ETag Content-Disposition Cache-Control Access-Control-Allow-Headers Access-Control-Allow-Credentials
WWW-Authenticate Retry-After Location X-Request-Id X-Status-Code X-Session-Timeout Content-Type
X-CSRF-HEADER
"""


@pytest.mark.parametrize("name", NOT_SECRET_HEADERS.split())
def test_these_reply_header_fields_are_no_secrets(name: str) -> None:
    assert not is_secret_header(name)


SECRET_HEADERS = """
Set-Cookie Authorization Proxy-Authorization X-Auth-Token X-CSRF-TOKEN X-Api-Key ssid RNSID X-Session-Id X-Session
ContactCenterId X-Otp Ocp-Apim-Subscription-Key X-Amz-Security-Token Session-Key
"""


@pytest.mark.parametrize("name", SECRET_HEADERS.split())
def test_these_header_fields_are_secrets(name: str) -> None:
    assert is_secret_header(name)
