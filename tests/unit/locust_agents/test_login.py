"""The login: its requests, their order, and failures."""

from __future__ import annotations

import json

import pytest

from cometreel.locust_agents.connection import ConnectionLoss
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.login import LoginMode, LoginRefused, LoginRequest, first_requests, log_in, session_gone
from cometreel.locust_agents.request_queue import ReplyOrLoss

ME = "/api/v2/me?subresources=features,devices,channels"


def reply(status: int = 200, **body: object) -> HttpReply:
    return HttpReply(status, (), json.dumps({"statusCode": 0, **body}).encode(), last=False)


def walk(login: LoginMode, *outcomes: ReplyOrLoss) -> tuple[list[LoginRequest], str]:
    """Run a login with these replies; the last is repeated."""
    steps, answers, requests = log_in(login), list(outcomes), []
    try:
        step = next(steps)
        while True:
            requests.append(step)
            step = steps.send(answers.pop(0) if len(answers) > 1 else answers[0])
    except StopIteration as end:
        return requests, end.value


def test_an_open_server_needs_no_login():
    assert walk("open", reply()) == ([], "")


def test_a_session_login_sends_credentials_once_after_a_refusal():
    requests, user_id = walk("session", reply(403, statusCode=20), reply(user={"id": "f1a3"}), reply())
    assert (requests, user_id) == (
        [
            LoginRequest(ME),
            LoginRequest(ME, credentials=True),
            LoginRequest("/api/v2/services?fields=*"),
            LoginRequest("/api/v2/me/groups"),
            LoginRequest("/api/v2/groups"),
            LoginRequest("/api/v2/me", body={"operationName": "StartContactCenterSession", "channels": ["multimedia"]}),
        ],
        "f1a3",
    )


def test_optional_replies_may_be_missing():
    missing = reply(404, statusCode=6)
    _, user_id = walk("basic", reply(user={"id": "f1a3"}), missing, missing, missing, reply(statusCode=7))
    assert user_id == "f1a3"


REFUSALS: dict[str, tuple[ReplyOrLoss, str]] = {
    "wrong password": (
        reply(403, statusCode=20),
        f"login failed: the server refused {ME} with HTTP 403 (statusCode 20)",
    ),
    "a redirect": (reply(302), f"login failed: the server redirected {ME} (HTTP 302); redirects are not followed"),
    "an error": (
        reply(503, statusCode=4, statusMessage="down"),
        f"login failed: the server answered {ME} with HTTP 503 (statusCode 4: down)",
    ),
    "no JSON": (
        HttpReply(200, (), b"<html>", last=False),
        f"login failed: the server answered {ME} with HTTP 200 (no statusCode)",
    ),
    "no connection": (ConnectionLoss.REFUSED, "login failed: the connection was refused"),
}


@pytest.mark.parametrize(("outcome", "sentence"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_failed_login_shows_the_reply(outcome: ReplyOrLoss, sentence: str):
    with pytest.raises(LoginRefused) as caught:
        walk("basic", outcome)
    assert str(caught.value) == sentence


def test_a_session_that_can_not_be_started_fails_the_login():
    with pytest.raises(LoginRefused, match=r"answered StartContactCenterSession with HTTP 500 \(statusCode 4\)$"):
        walk("basic", reply(), reply(), reply(), reply(), reply(500, statusCode=4))


def test_the_first_two_workbins_are_requested_one_by_one():
    requests: list[str] = []
    workbins = reply(workbins=[{"id": "a"}, {"id": "b"}, {"id": "c"}, {"id": "d"}, {"name": "no id"}])

    def all_of_it() -> list[str]:
        steps = first_requests()
        step = next(steps)
        while True:
            requests.append(step.target)
            answer = workbins if step.target == "/api/v2/workbins?fields=*" else ConnectionLoss.CLOSED
            try:
                step = steps.send(answer)
            except StopIteration as end:
                return [*end.value]

    assert all_of_it() == ["a", "b", "c", "d"]
    assert requests == [
        "/api/v2/diagnostics/version",
        "/api/v2/workbins?fields=*",
        "/api/v2/me/?subresources=devices,calls,channels,interactions,chats",
        "/api/v2/workbins/a?subresources=*",
        "/api/v2/workbins/b?subresources=*",
        "/api/v2/workbins?workbinIds=c,d&subresources=*",
    ]


@pytest.mark.parametrize(("status", "gone"), [(200, False), (401, True), (403, True), (404, False), (503, False)])
def test_status_codes_of_a_lost_http_session(status: int, gone: bool):  # a table
    assert session_gone(reply(status)) is gone
