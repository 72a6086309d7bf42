"""The requests of a scenario as load: what is the login, what is repeated, and what is skipped for which reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.locust_agents.agent_identity import Identity, UserCredentials
from cometreel.locust_agents.login import LoginRequest, RecordedLogin
from cometreel.locust_agents.scenario_script import ScenarioScript, read_script

ANN = UserCredentials("ann", "secret-of-ann")

WHOAMI_REFUSED = """
  - name: me, refused
    request: {method: GET, path: /api/v2/me, authenticated: false}
    reply: {status: 403}"""
WHOAMI = """
  - name: me
    request: {method: GET, path: /api/v2/me, query: {fields: "*"}, authenticated: true}
    reply: {body: {statusCode: 0}}"""
VERSION = """
  - name: version
    request: {method: GET, path: /version}
    reply: {after: 10ms}"""
SIGN_IN = """
  - name: sign in
    request:
      method: POST
      path: /login
      body: {client: web, who: [{userName: {$any: string}, passcode: {$any: string}}]}
    reply: {status: 302}"""
START = """
  - name: start
    request: {method: POST, path: /api/v2/me, body: {operationName: StartContactCenterSession, channels: [chat]}}
    reply: {body: {statusCode: 0}}"""
STATS = """
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {after: 20ms, body: {statusCode: 0, referenceId: 7}}
    events: [{after: 30ms, channel: /v2/me/workbins, data: {referenceId: 7}}]"""
END = """
  - name: end
    request: {method: POST, path: /api/v2/me, body: {operationName: EndContactCenterSession}}
    reply: {body: {statusCode: 0}}"""


def script(folder: Path, *exchanges: str, users: bool = False, head: str = "") -> ScenarioScript:
    file = folder / "recorded.yaml"
    file.write_text(f"cometreel: 1\n{head}exchanges:{''.join(exchanges)}\n")
    return read_script([file], 1.0, has_users=users)


def repeated(script: ScenarioScript) -> list[str]:
    return [request.name for request in script.requests_of(0)]


def test_the_login_is_sent_once_in_the_recorded_order_and_the_rest_is_repeated(tmp_path: Path):
    made = script(
        tmp_path, WHOAMI_REFUSED, WHOAMI, VERSION, START, VERSION.replace("version", "later"), STATS, END, users=True
    )
    assert made.login_of(0, ANN) == [
        RecordedLogin("me, refused", LoginRequest("/api/v2/me"), refused=True),
        RecordedLogin("me", LoginRequest("/api/v2/me?fields=*", credentials=True)),
        RecordedLogin("version", LoginRequest("/version")),
        RecordedLogin(
            "start", LoginRequest("/api/v2/me", {"operationName": "StartContactCenterSession", "channels": ["chat"]})
        ),
    ]
    assert repeated(made) == ["GET later", "POST stats"]
    assert (made.seconds, made.skipped) == (0.04, {})
    assert made.end == LoginRequest("/api/v2/me", {"operationName": "EndContactCenterSession"})


def test_name_and_password_of_the_user_replace_the_redacted_values(tmp_path: Path):
    made = script(tmp_path, SIGN_IN, STATS, users=True)
    body: JSON = {"client": "web", "who": [{"userName": "ann", "passcode": "secret-of-ann"}]}
    assert made.login_of(0, ANN) == [RecordedLogin("sign in", LoginRequest("/login", body))]
    assert "secret-of-ann" not in repr(made.login_of(0, ANN))


def test_without_users_what_needs_a_login_is_skipped_and_named(tmp_path: Path):
    made = script(tmp_path, WHOAMI_REFUSED, WHOAMI, SIGN_IN, START, STATS, WHOAMI.replace("me\n", "me again\n"), END)
    assert [each.name for each in made.login_of(0, None)] == ["start"]
    assert repeated(made) == ["POST stats"]
    assert made.skipped == {
        "me, refused": "the recorded reply is an error",
        "me": "it needs a login; add --reel-users",
        "sign in": "it needs a login; add --reel-users",
        "me again": "it needs a login; add --reel-users",
        "end": "it ends the session",
    }
    assert made.end is None


def test_a_failed_sign_in_is_skipped(tmp_path: Path):
    failed = SIGN_IN.replace("sign in", "wrong password").replace("302", "401")
    made = script(tmp_path, failed, SIGN_IN, STATS, users=True)
    assert [each.name for each in made.login_of(0, ANN)] == ["sign in"]
    assert made.skipped == {"wrong password": "the recorded reply is an error"}


def test_another_redacted_value_of_a_login_is_unknown(tmp_path: Path):
    made = script(tmp_path, SIGN_IN.replace("web", "{$any: string}"), STATS, users=True)
    assert made.login_of(0, ANN) == []
    assert made.skipped == {"sign in": "$any matches a value that the scenario doesn't contain"}


def test_the_login_ends_before_the_first_notification(tmp_path: Path):
    """The CometD session must exist then, also if the server logs in by notification."""
    made = script(tmp_path, VERSION, STATS, START, users=True)
    assert made.login_of(0, ANN) == []
    assert repeated(made) == ["GET version", "POST stats", "POST start"]


def test_each_role_has_its_own_login(tmp_path: Path):
    two = START.replace("start", "other start").replace("chat", "email")
    made = script(
        tmp_path,
        START.replace("name: start", "name: start\n    as: agent-1"),
        two.replace("name: other start", "name: other start\n    as: agent-2"),
        STATS,
        head="roles: {agent-1: {user: a}, agent-2: {user: b}}\n",
        users=True,
    )
    assert [[each.name for each in made.login_of(number, ANN)] for number in (0, 1, 2)] == [
        ["start"],
        ["other start"],
        ["start"],
    ]


def test_a_scenario_of_which_nothing_can_be_sent_is_refused_with_the_reasons(tmp_path: Path):
    with pytest.raises(OptionInvalid) as refused:
        script(tmp_path, WHOAMI, START, END)
    assert str(refused.value) == (
        "--reel-scenario: none of its requests can be sent; expected a scenario with at least one complete request "
        "after the login ('me': it needs a login; add --reel-users; 'end': it ends the session)"
    )


def test_a_token_of_the_server_is_not_replaced_by_the_password(tmp_path: Path):
    made = script(tmp_path, SIGN_IN.replace("client: web", "csrfToken: {$any: string}"), STATS, users=True)
    assert made.login_of(0, ANN) == []
    assert made.skipped == {"sign in": "$any matches a value that the scenario doesn't contain"}


def test_a_form_is_filled_like_a_body(tmp_path: Path):
    form = """
  - name: form
    request: {method: POST, path: /j_security_check, form: {j_username: {$any: string}, j_password: {$any: string}}}
    reply: {status: 302}"""
    made = script(tmp_path, form, STATS, users=True)
    (step,) = made.login_of(0, ANN)
    assert step.request == LoginRequest("/j_security_check", form={"j_username": "ann", "j_password": "secret-of-ann"})
    sent = Identity("gws.example", "session", ANN).request(step.request)
    assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in sent
    assert sent.endswith(b"\r\n\r\nj_username=ann&j_password=secret-of-ann")
    assert script(tmp_path, form, STATS).skipped == {"form": "it needs a login; add --reel-users"}


@pytest.mark.parametrize(("block", "endpoint"), [("", "/cometd"), ("bayeux: {endpoint: /push}\n", "/push")])
def test_the_endpoint_is_that_of_a_replay_of_the_scenario(block: str, endpoint: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"cometreel: 1\n{block}exchanges:{STATS}\n")
    assert read_script([path], 1.0).endpoint == endpoint
