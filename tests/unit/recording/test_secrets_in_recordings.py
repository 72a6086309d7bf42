"""Secrets in a recording: they are removed from the whole journal, and common words stay where they are no secrets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from cometreel.scenario import dump, loads
from tests.unit.engine.conversation import Conversation


def basic(user: str, password: str) -> list[tuple[str, str]]:
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


def note(place: str) -> str:
    return f"hidden in its own place only (shorter than 8 characters, or equal to a name used elsewhere): {place}"


@pytest.mark.parametrize("password", ["Agent1", "workbins", "Place1", "RequestStats", "Sales-West", "agent-1"])
def test_a_laboratory_password_replaces_neither_paths_nor_owners(wire: Any, password: str) -> None:
    wire.call(0, "GET", "/api/v2/me", None, {"statusCode": 0}, headers=basic("agent-1", password))
    request = {"operationName": "RequestStats", "workbinOwner": "Place1", "placeGroup": "Sales-West"}
    wire.call(1, "POST", "/api/v2/workbins/Agent1", request, {"referenceId": 1})
    distilled = wire.distil()
    block = distilled.file.exchanges[1].request
    assert (block.path, block.body) == ("/api/v2/workbins/Agent1", request)
    assert note("authorization") in distilled.summary.lines()
    assert "hidden in" not in wire.text()


@pytest.mark.parametrize("again", ["You sent tr0ub4dor", "TR0UB4DORx", "a\\ntr0ub4dor", "%74r0ub4dor", "dHIwdWI0ZG9y"])
def test_a_password_is_removed_from_later_bodies(wire: Any, again: str) -> None:
    wire.call(0, "GET", "/api/v2/me", None, {"statusCode": 0}, headers=basic("kate", "tr0ub4dor"))
    wire.call(1, "POST", f"/echo/{quote(again)}", {"echo": [again, {again: 1}]}, {"echo": f"<{again}>"})
    distilled = wire.distil()
    for text in (wire.text(), dump(distilled.file)):
        assert "tr0ub4dor" not in text.lower()
        assert again not in text
    assert note("authorization") not in distilled.summary.lines()


def test_a_secret_path_segment_is_not_compared(wire: Any) -> None:
    for at, token in enumerate(("tr0ub4dor", "s3cr3tword")):
        wire.call(at, "GET", f"/app/reset-password/{token}", None, {"link": f"/app/reset-password/{token}"})
    distilled = wire.distil()
    assert distilled.file.exchanges[0].request.path == ["app", "reset-password", {"$any": "string"}]
    assert "tr0ub4dor" not in wire.text()
    assert "s3cr3tword" not in wire.text()


@pytest.mark.parametrize("user", ["kate", "kate.smith", "kate@corp.example"])
def test_a_user_has_one_name_in_a_workspace_recording(wire_of: Callable[..., Any], user: str) -> None:
    wire = wire_of(profile_name="workspace-v3")
    wire.call(0, "GET", "/workspace/v3/current-session", None, {"data": {"user": {"userName": user}, "owner": user}})
    wire.call(1, "POST", "/workspace/v3/workbins/get", {"ownerId": user}, {"workbins": [{"owner": user, "id": "w1"}]})
    distilled = wire.distil()
    assert user not in wire.text()
    first, second = (exchange.reply.body for exchange in distilled.file.exchanges)
    name = first["data"]["user"]["userName"]
    assert (first["data"]["owner"], second["workbins"][0]["owner"]) == (name, {"$id": "user-1"})
    assert distilled.file.exchanges[1].request.body == {"ownerId": {"$id": "user-1"}}
    talk = Conversation(loads(dump(distilled.file)))
    live = talk.client()
    live.sends("POST", "/workspace/v3/workbins/get", {"ownerId": "live.name"})
    talk.at(1)
    assert live.received[-1][2] == {"workbins": [{"owner": "live.name", "id": "w1"}]}


@pytest.mark.parametrize("user", ["kate", "kate.smith", "kate@corp.example"])
def test_a_name_that_is_an_owner_before_it_is_a_user_gets_the_same_name(wire: Any, user: str) -> None:
    wire.call(0, "GET", "/workspace/v3/workbins", None, {"workbins": [{"owner": user, "id": "w1"}]})
    wire.call(1, "GET", "/workspace/v3/current-session", None, {"user": {"userName": user}})
    first, second = (exchange.reply.body for exchange in wire.distil().file.exchanges)
    assert first["workbins"][0]["owner"] == second["user"]["userName"]
