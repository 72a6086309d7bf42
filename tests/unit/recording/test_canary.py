"""Canary test: unique strings in every place of realistic traffic that may contain secrets or personal data.

None of them may stand anywhere afterwards: not in the journal, the scenario, the summary, the lines that the
recorder tells, or a log. One that does is named by the assertion.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from cometreel.jsonvalue import JSON
from cometreel.scenario import dump
from cometreel.wire import Headers


class Canaries:
    """Creates unique values and stores the place of each."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def word(self, place: str) -> str:
        return self._kept(place, f"Canary{len(self.places)}zq")

    def mail(self, place: str) -> str:
        name = self._kept(place, f"canary{len(self.places)}zq.mail")
        return f"{name}@{self._kept(place + ' domain', f'canary{len(self.places)}zq.example')}"

    def phone(self, place: str) -> str:
        return "+" + self._kept(place, f"49555{1_000_000 + len(self.places) * 7919}")

    def host(self, place: str) -> str:
        return "https://" + self._kept(place, f"canary{len(self.places)}zq.internal:8443") + "/api/v2/x"

    def text(self, place: str) -> str:
        return f"Dear {self.word(place)}, all the best"

    def _kept(self, place: str, value: str) -> str:
        self.places[value] = place
        return value

    def found_in(self, text: str) -> dict[str, str]:
        low = text.lower()
        return {value: place for value, place in self.places.items() if value.lower() in low}


def customer(canary: Canaries) -> JSON:
    return {
        "subject": canary.text("subject"),
        "participants": [{"nickname": canary.word("nickname"), "participantId": canary.word("participant id")}],
        "dnis": canary.phone("dnis"),
        "from": canary.mail("from"),
        "toAddresses": [canary.mail("to")],
        "body": canary.text("e-mail body"),
        "messages": [{"text": canary.text("transcript"), "from": {"nickname": canary.word("transcript nick")}}],
        "attachments": [{"name": canary.word("attachment") + ".pdf"}],
        "userData": {
            "FirstName": canary.word("user data first name"),
            "EmailAddress": canary.mail("user data e-mail"),
            f"WWE_PARTY_{canary.phone('user data key')}": 1,
            f"WWE_PARTY_{canary.word('user data key, a word')}": 1,
            f"note for {canary.mail('user data key, an e-mail')}": "x",
            "nested": {"deep": [{"Case": canary.text("deep user data")}]},
            "PhoneNumber": int(canary.phone("number").lstrip("+")),
            "Password": canary.word("password in user data"),
        },
        "statusText": f"mail {canary.mail('unknown key, e-mail')} or call {canary.phone('unknown key, phone')}",
        "uri": canary.host("uri"),
        "voiceEnvironmentUri": canary.host("voiceEnvironmentUri"),
        "download": f"/files/7?X-Amz-Signature={canary.word('URL in a body')}&email={canary.mail('e-mail in a URL')}",
        "session_id": canary.word("session_id"),
        "ext": {"auth": {"pwd": canary.word("pwd"), "refresh-token": canary.word("refresh-token")}},
        "ChatServerHost": canary.word("chat server host"),
        "packed": json.dumps({"emailAddress": canary.mail("packed JSON"), "password": canary.word("packed password")}),
    }


def traffic(canary: Canaries, wire: Any) -> None:
    """A login, a CometD session, calls, and unusual bodies."""
    work(canary, wire)
    odd_bodies(canary, wire)


def work(canary: Canaries, wire: Any) -> None:
    password, session, browser = canary.word("password"), canary.word("session") + ".n1", canary.word("browser")
    client, csrf = canary.word("clientId"), canary.word("CSRF token")
    user = canary.mail("user name")
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    canary.places[basic] = "Basic credentials"
    sensitive = [(name, canary.word(f"header {name}")) for name in SENSITIVE_HEADERS]
    headers = [
        ("Cookie", f"JSESSIONID={session}; BAYEUX_BROWSER={browser}; AWSELB={canary.word('AWSELB')}"),
        *sensitive,
    ]
    wire.call(
        0,
        "GET",
        "/api/v2/me",
        None,
        {
            "statusCode": 0,
            "user": {
                "id": "28383e5523c7479cae4afa8df88d66df",
                "userName": user,
                "firstName": canary.word("firstName"),
                "lastName": canary.word("lastName"),
                "emailAddress": canary.mail("emailAddress"),
                "employeeId": canary.word("employeeId"),
                "loginCode": canary.word("loginCode"),
                "phoneNumber": canary.phone("phoneNumber"),
                "devices": [{"e164Number": canary.phone("e164"), "phoneNumber": canary.phone("device")}],
                "contactCenterId": canary.word("contactCenterId"),
            },
        },
        headers=[
            ("Authorization", f"Basic {basic}"),
            ("ContactCenterId", canary.word("ContactCenterId")),
            ("Referer", canary.host("Referer")),
            ("User-Agent", canary.word("agent")),
        ],
        reply_headers=[
            ("Content-Type", "application/json"),
            ("X-CSRF-HEADER", "X-Odd-Name"),
            ("X-Odd-Name", csrf),
            ("Set-Cookie", f"JSESSIONID={session};Path=/"),
            ("Set-Cookie", f"WWE_CODE={canary.word('WWE_CODE')}"),
            ("Server", canary.word("Server")),
            ("Location", canary.host("Location") + "?code=" + canary.word("code in Location")),
        ],
    )
    shake = wire.bayeux(
        1,
        [
            {
                "channel": "/meta/handshake",
                "id": "1",
                "ext": {"authentication": {"user": user, "token": canary.word("ext token")}},
            }
        ],
        headers=headers,
    )
    wire.answer(1.1, shake, [{"channel": "/meta/handshake", "id": "1", "successful": True, "clientId": client}])
    poll = wire.bayeux(2, [{"channel": "/meta/connect", "id": "2", "clientId": client}], headers=headers)
    query = "&".join(f"{name}={canary.word('query ' + name)}" for name in SENSITIVE_QUERIES)
    wire.call(
        3,
        "POST",
        f"/api/v2/workbins;jsessionid={session}?fields=*&{query}",
        {"operationName": "AddEmail", "nickname": canary.word("request nickname"), "userData": customer(canary)},
        {"statusCode": 0, "referenceId": 5},
        headers=[*headers, ("X-Odd-Name", csrf)],
    )
    wire.answer(
        4,
        poll,
        [
            {"channel": "/v2/me/emails", "data": {"referenceId": 5, "email": customer(canary)}},
            {"channel": "/v2/me/chats", "data": {"chat": customer(canary)}},
            {"channel": "/meta/connect", "id": "2", "successful": True},
        ],
    )
    for at, secret in enumerate(
        (password, session, csrf, client, browser, basic), 5
    ):  # each once more in a place without a rule
        wire.call(
            at, "GET", f"/api/v2/echo/{quote(secret, safe='')}", None, {"echo": f"you sent [{secret}]", secret: 1}
        )


def odd_bodies(canary: Canaries, wire: Any) -> None:
    wire.call(
        20,
        "POST",
        "/api/v2/users",
        {"operationName": "ChangePassword", "oldPassword": canary.word("old"), "newPassword": canary.word("new")},
        {"statusCode": 4, "statusMessage": f"No user '{canary.word('quoted')}' at 10.1.2.3"},
        status=500,
    )
    wire.call(
        21,
        "POST",
        "/saml",
        f"SAMLResponse={canary.word('SAML')}&RelayState={canary.word('relay')}&odd={canary.word('field')}".encode(),
        b"<html>" + canary.word("page").encode(),
        headers=[FORM],
        reply_headers=[("Content-Type", "text/html")],
    )
    wire.call(
        22,
        "POST",
        "/xml",
        f"<a>{canary.word('XML')}</a>".encode(),
        canary.text("plain text").encode(),
        headers=[("content-type", "text/xml")],
        reply_headers=[("Content-Type", "text/plain")],
    )
    wire.call(23, "GET", "/twice", None, f'{{"a":"{canary.word("twice")}","a":1}}'.encode())
    wire.call(24, "GET", "/torn", None, f'{{"a":"{canary.word("torn")}'.encode())
    wire.call(
        25,
        "GET",
        "/binary",
        None,
        b"\x89PNG" + canary.word("binary").encode(),
        reply_headers=[("Content-Type", "image/png")],
    )
    wire.recorder.error(wire.ask(26, "GET", "/gone"), f"connect to '{canary.word('error')}' failed")
    wire.recorder.mark(f"now as {canary.mail('mark')}")
    wire.recorder.opened("ws", f"ws://h/ws?token={canary.word('socket token')}", Headers())
    client = canary.word("clientId of the socket")
    wire.recorder.frame(
        "ws", True, json.dumps([{"channel": "/service/chat", "clientId": client, "id": "1", "data": customer(canary)}])
    )
    wire.recorder.frame("ws", False, canary.text("text frame"))
    wire.recorder.frame("ws", False, canary.word("binary frame").encode())
    wire.recorder.closed("ws", 1000)


FORM = ("content-type", "application/x-www-form-urlencoded")
SENSITIVE_HEADERS = [
    "ssid",
    "surl",
    "RNURL",
    "RNSID",
    "RNUSERNAME",
    "x-api-key",
    "X-CSRF-TOKEN",
    "X-Session-Token",
    "X-Forwarded-For",
    "Proxy-Authorization",
    "X-Unknown",
]
SENSITIVE_QUERIES = [
    "code",
    "redirect_uri",
    "SAMLRequest",
    "access_token",
    "token",
    "state",
    "password",
    "userName",
    "emailAddress",
]


def everything(wire: Any) -> Iterator[tuple[str, str]]:
    yield "journal", wire.text()
    for generalise in (False, True):
        made = wire.distil(generalise=generalise)
        yield "scenario", dump(made.file)
        yield "summary", "\n".join(made.summary.lines())
    yield "reports", "\n".join(wire.reports)


@pytest.mark.parametrize("policy", ["default", "strict"])
def test_no_canary_is_written_or_shown(
    wire_of: Callable[..., Any], policy: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary, wire = Canaries(), wire_of(policy)
    traffic(canary, wire)
    assert len(canary.places) > 100
    for where, text in everything(wire):
        assert canary.found_in(text) == {}, where
    assert canary.found_in(caplog.text) == {}


def test_the_canary_would_be_found() -> None:
    canary = Canaries()
    assert canary.found_in(f"x{canary.word('there')}x") == {"Canary0zq": "there"}
