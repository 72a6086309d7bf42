"""Names of exchanges: derived from the request, unique, and equal for equal recordings."""

from __future__ import annotations

from typing import Any

import pytest

from cometreel.jsonvalue import JSON

BIN, OTHER = "861640a2-0000-4000-8000-000000000001", "861640a2-0000-4000-8000-000000000002"
USER = "28383e5523c7479cae4afa8df88d66df"
MANY = ",".join(f"{BIN[:-1]}{number}" for number in range(1, 8))


@pytest.mark.parametrize(
    ("method", "path", "body", "name"),
    [
        ("GET", "/api/v2/me", None, "me"),
        ("GET", "/api/v2/me/?subresources=devices", None, "me"),
        ("GET", "/api/v2/workbins?fields=*", None, "workbins"),
        ("GET", "/api/v2/me/workbins", None, "my workbins"),
        ("GET", f"/api/v2/workbins/{BIN}", None, "workbin 1"),
        ("GET", f"/api/v2/workbins/{BIN}?subresources=*", None, "workbin 1 with content"),
        ("GET", f"/api/v2/workbins?workbinIds={BIN},{OTHER}", None, "workbins 1, 2"),
        ("GET", f"/api/v2/workbins/{BIN}/emails?fields=*", None, "workbin 1 emails"),
        ("GET", f"/api/v2/workbins?workbinIds={MANY[:-37]}", None, "workbins 1, 2, 3, 4, 5, 6"),
        ("GET", f"/api/v2/workbins?workbinIds={MANY}", None, "7 workbins"),
        ("GET", "/orders/4711", None, "order 1"),
        ("GET", "/", None, "/"),
        ("GET", "/a%2Fb/%C3%A4", None, "a/b ä"),
        ("POST", "/api/v2/workbins", {"operationName": "RequestAgentStats"}, "stats of my workbins"),
        (
            "POST",
            "/api/v2/workbins",
            {"operationName": "RequestAgentStats", "workbinType": "AgentGroup", "workbinOwner": "Sales"},
            "stats of agent group Sales",
        ),
        ("POST", f"/api/v2/users/{USER}/workbins", {"operationName": "RequestAgentStats"}, "stats of user 1"),
        ("POST", f"/api/v2/workbins/{BIN}", {"operationName": "RequestStats"}, "stats of workbin 1"),
        ("POST", f"/api/v2/me/workbins/{BIN}", {"operationName": "Subscribe"}, "subscribe my workbin 1"),
        (
            "POST",
            f"/api/v2/workbins/{BIN}?placeGroup=P",
            {"operationName": "Unsubscribe"},
            "unsubscribe workbin 1 of group P",
        ),
        ("POST", "/api/v2/me", {"operationName": "StartContactCenterSession"}, "start contact center session"),
        ("POST", "/api/v2/users", {"a": 1}, "post users"),
        ("DELETE", f"/api/v2/users/{USER}", None, "delete user 1"),
        ("POST", "/x", {"operationName": "<b>\n\x00" + "x" * 200}, "b x" + "x" * 76 + " "),
    ],
)
def test_names_of_exchanges(wire: Any, method: str, path: str, body: JSON, name: str) -> None:
    wire.call(1, method, path, body, {"statusCode": 0})
    assert wire.distil().file.exchanges[0].name.startswith(name.strip()[:60])
    assert len(wire.distil().file.exchanges[0].name) <= 80


def test_names_are_unique(wire: Any) -> None:
    for number in range(3):
        wire.call(number, "POST", "/api/v2/x", {"n": number}, {})
    wire.call(4, "POST", "/api/v2/x%20%282%29", {}, {})
    assert [one.name for one in wire.distil().file.exchanges] == [
        "post x",
        "post x (2)",
        "post x (3)",
        "post x (2) (2)",
    ]


@pytest.mark.parametrize(
    ("status", "name"),
    [(200, "a"), (399, "a"), (400, "a, failed"), (401, "a, refused"), (403, "a, refused"), (500, "a, failed")],
)
def test_the_name_of_an_exchange_says_that_the_request_failed(wire: Any, status: int, name: str) -> None:
    wire.call(1, "GET", "/a", None, {}, status=status)
    assert [one.name for one in wire.distil().file.exchanges] == [name]
