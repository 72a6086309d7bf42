"""The recorded login: which requests carry the credentials, and which replies end it."""

from __future__ import annotations

import pytest

from cometreel.jsonvalue import JSON, encode
from cometreel.locust_agents.http_client import HttpReply
from cometreel.locust_agents.login import LoginMode, LoginRefused, LoginRequest, RecordedLogin, log_in_as_recorded

ME = RecordedLogin("me", LoginRequest("/me", credentials=True))
REFUSED = RecordedLogin("me, refused", LoginRequest("/me"), refused=True)
START = RecordedLogin("start", LoginRequest("/start", {"operationName": "Start"}))


def reply(status: int, body: JSON = None) -> HttpReply:
    return HttpReply(status, (), b"" if body is None else encode(body), last=False)


def sent(login: LoginMode, *requests: RecordedLogin, replies: list[HttpReply]) -> tuple[list[LoginRequest], str]:
    """Return the requests of a login, and the user id that it found."""
    steps, asked = log_in_as_recorded(login, requests), []
    answers = iter(replies)
    try:
        asked.append(next(steps))
        while True:
            asked.append(steps.send(next(answers)))
    except StopIteration as end:
        return asked, end.value


def test_requests_are_sent_in_order_and_the_user_id_is_read():
    asked, user_id = sent(
        "session",
        REFUSED,
        ME,
        START,
        replies=[reply(403), reply(200, {"user": {"id": "7"}}), reply(200, {"statusCode": 0})],
    )
    assert (asked, user_id) == ([REFUSED.request, ME.request, START.request], "7")


def test_the_first_request_has_the_credentials_if_the_recording_shows_none():
    asked, _ = sent("session", START, replies=[reply(200)])
    assert asked == [LoginRequest("/start", {"operationName": "Start"}, credentials=True)]


def test_basic_authentication_is_never_refused_first():
    asked, _ = sent("basic", REFUSED, ME, replies=[reply(200)])
    assert asked == [ME.request]


@pytest.mark.parametrize("answer", [reply(200), reply(204), reply(302), reply(200, {"statusCode": 7})])
def test_a_reply_of_any_api_can_be_a_success(answer: HttpReply):
    assert sent("session", START, replies=[answer])[1] == ""


@pytest.mark.parametrize(
    ("answer", "credentials", "text"),
    [
        (reply(401), True, "login failed: the server refused 'start' with HTTP 401 (statusCode None)"),
        (
            reply(404, {"statusCode": 6, "statusMessage": "channels.0 differs"}),
            False,
            "login failed: the server answered 'start' with HTTP 404 (statusCode 6: channels.0 differs)",
        ),
    ],
)
def test_a_failure_names_the_recorded_request(answer: HttpReply, credentials: bool, text: str):
    with pytest.raises(LoginRefused) as refused:
        sent("session", START, replies=[answer])
    assert (str(refused.value), refused.value.credentials) == (text, credentials)
