"""The failure messages of tests, with their exact texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.pytest_plugin.conftest import SCENARIO

HEAD = """
import httpx, pytest
PLACE = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}
"""

UNMATCHED = """\
The test sent a request that the scenario does not answer.

POST /api/v2/workbins
  {"operationName":"RequestAgentStats","workbinType":"Place","workbinOwner":"Place9"}
  nearest: 'stats of place Place1' (desktop.yaml:5)
    matches: method, path, query, body.operationName, body.workbinType
    differs: body.workbinOwner is Place9, not Place1

To allow this in the test: reel.allow_unmatched()
To record the missing exchanges: pytest --reel-record=URL --reel-record-mode=new"""


def test_unmatched_request_fails_the_test_with_near_misses(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    assert httpx.post(reel.url + "/api/v2/workbins", json={**PLACE, "workbinOwner": "Place9"}).status_code == 404
"""
    )
    assert ran.outcomes == {"failed": 1}
    assert ran.part("test_it") == UNMATCHED


def test_unmatched_request_is_added_to_another_failure(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    reply = httpx.post(reel.url + "/api/v2/workbins", json={**PLACE, "workbinOwner": "Place9"})
    assert reply.status_code == 200
"""
    )
    assert ran.outcomes == {"failed": 1}
    assert "E       assert 404 == 200" in ran.text
    assert ran.part("Captured reel call") == UNMATCHED


UNDELIVERED = """\
No CometD client received these notifications.
  <text>:3:5: event 1 of 'note' on /news for session 1 is given up: no subscriber; let a client subscribe, or set \
deliver: asker for the event
  session 1 has no CometD client: 1 notification waits for one"""


def test_lost_notifications_are_added_to_another_failure(run: Callable[..., Any]):
    events = "events: [{channel: /news, data: 1, deliver: subscribers}, {channel: /c, data: 1}]"
    scenario = f"cometreel: 1\\nexchanges:\\n  - {{name: note, request: {{method: POST, path: /note}}, {events}}}\\n"
    test = f"""
def test_it(reel):
    httpx.post(reel.play("{scenario}").url + "/note")
    assert [event.reason for event in reel.given_up] == ["no subscriber"]
"""
    assert run(HEAD + test).outcomes == {"passed": 1}
    ran = run(f"{HEAD}{test}    assert 1 == 2\n")
    assert ran.outcomes == {"failed": 1}
    assert ran.part("Captured reel call") == UNDELIVERED


def test_message_has_user_and_all_differences(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    with httpx.Client(base_url=reel.url, auth=("ann", "canary")) as client:
        client.post("/api/v2/diagnostics/version?full=1")
        client.post("/api/v2/workbins", content="{", headers={"Content-Type": "application/json"})
"""
    )
    assert (
        ran.part("test_it")
        == """\
The test sent 2 requests that the scenario does not answer.

POST /api/v2/diagnostics/version?full=1  (as ann)
  nearest: 'version' (desktop.yaml:11)
    matches: path, body
    differs: method is POST, not GET
             query.full is "1", not nothing

POST /api/v2/workbins  (as ann)
  {
  its body is not JSON, but its Content-Type is
  nearest: 'stats of place Place1' (desktop.yaml:5)
    matches: method, path, query
    differs: body is a text of 1 character, not {operationName: RequestAgentStats, workbinType: Place, workbinOwner: Place1}

To allow this in the test: reel.allow_unmatched()
To record the missing exchanges: pytest --reel-record=URL --reel-record-mode=new"""  # noqa: E501  # as it is printed
    )


def test_message_of_a_used_up_exchange(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0, repeat="fail")
def test_it(reel):
    with httpx.Client(base_url=reel.url) as client:
        for _ in range(2):
            client.get("/api/v2/diagnostics/version")
"""
    )
    assert "  nearest: 'version' (desktop.yaml:11)\n    matches, but it is used up: played 1 times" in ran.part(
        "test_it"
    )


def test_message_is_limited_in_requests_and_body_length(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    with httpx.Client(base_url=reel.url) as client:
        for number in range(12):
            client.post("/api/v2/workbins", json={**PLACE, "workbinOwner": "x" * 2000})
"""
    )
    text = ran.part("test_it")
    assert text.startswith("The test sent 12 requests that the scenario does not answer.\n\nPOST /api/v2/workbins\n")
    assert text.count("POST /api/v2/workbins") == 10
    assert "\n\nand 2 more\n\n" in text
    assert "x… (2077 characters)" in text


def test_secrets_are_masked(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    with httpx.Client(base_url=reel.url, auth=("ann", "canary-1"), headers={"X-CSRF-TOKEN": "canary-2"}) as client:
        body = {**PLACE, "password": "canary-3", "in": [{"newPassword": "canary-4"}]}
        client.post("/api/v2/workbins?token=canary-5&n=1", json=body)
        client.post("/api/v2/diagnostics/version", json={"password": "canary-6"})
"""
    )
    assert ran.outcomes == {"failed": 1}
    assert "canary" not in ran.part("test_it")
    assert "POST /api/v2/workbins?token=[hidden]&n=1  (as ann)" in ran.part("test_it")
    assert "body.password is [hidden], not nothing" in ran.part("test_it")


def test_allow_unmatched(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
def test_it(reel):
    reel.play("desktop.yaml").allow_unmatched()
    assert httpx.get(reel.url + "/nothing").status_code == 404
    assert [call.path for call in reel.calls(outcome="missed")] == ["/nothing"]
"""
    )
    assert ran.outcomes == {"passed": 1}


FAILED = """\
The test sent 2 requests whose response could not be rendered.

POST /api/v2/workbins  (as ann)
  {"operationName":"RequestAgentStats","workbinType":"Place","workbinOwner":"Place1","password":"[hidden]"}
  the responder wrong failed: KeyError: 'no such thing'

GET /api/v2/broken  (as ann)
  'a broken template' can't be played: FOLDER/desktop.yaml:16:29: the template '{{ request.body.id }}' failed: \
'None' has no attribute 'id'

To allow this in the test: reel.allow_failed()"""

BROKEN = """
  - name: a broken template
    request: {method: GET, path: /api/v2/broken}
    reply: {body: {id: {$t: "{{ request.body.id }}"}}}
"""

FAILING = (
    HEAD
    + """
def test_it(reel):
    reel.play("desktop.yaml", speed=0)
    @reel.register
    def wrong(asked):
        if asked.path == "/api/v2/workbins":
            raise KeyError("no such thing")
    with httpx.Client(base_url=reel.url, auth=("ann", "canary-1")) as client:
        assert client.post("/api/v2/workbins", json={**PLACE, "password": "canary-2"}).status_code == 500
        assert client.get("/api/v2/broken").status_code == 500
"""
)


def test_failed_response_fails_the_test_with_the_reason(run: Callable[..., Any], project: Any):
    (project.path / "desktop.yaml").write_text(SCENARIO + BROKEN.lstrip("\n"))
    ran = run(FAILING)
    assert ran.outcomes == {"failed": 1}
    assert ran.part("test_it") == FAILED.replace("FOLDER", str(project.path))


def test_allow_failed(run: Callable[..., Any], project: Any):
    (project.path / "desktop.yaml").write_text(SCENARIO + BROKEN.lstrip("\n"))
    assert run(FAILING + "    reel.allow_failed()\n").outcomes == {"passed": 1}
    assert run(FAILING + "    reel.allow_unmatched()\n").outcomes == {"failed": 1}


def test_failed_and_unmatched_requests_in_one_message(run: Callable[..., Any], project: Any):
    (project.path / "desktop.yaml").write_text(SCENARIO + BROKEN.lstrip("\n"))
    ran = run(FAILING + "    httpx.get(reel.url + '/nothing')\n")
    text = ran.part("test_it")
    assert text.startswith("The test sent a request that the scenario does not answer.\n\nGET /nothing\n")
    assert text.endswith("\n\n" + FAILED.replace("FOLDER", str(project.path)))


def test_unmatched_request_after_the_test_fails_the_teardown(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.fixture
def client(reel):
    yield
    httpx.get(reel.url + "/late")

@pytest.mark.reel("desktop.yaml")
def test_it(client):
    pass
"""
    )
    assert ran.outcomes == {"passed": 1, "errors": 1}
    assert "GET /late" in ran.part("ERROR at teardown of test_it")


def test_unmatched_requests_are_never_forwarded(run: Callable[..., Any], project: Any):
    (project.path / "desktop.yaml").write_text("cometreel: 1\nsettings: {unmatched: forward}\nexchanges: []\n")
    ran = run(HEAD + "\ndef test_it(reel):\n    httpx.get(reel.play('desktop.yaml').url + '/nothing')\n")
    assert ran.outcomes == {"failed": 1}
    assert "GET /nothing\n  no similar exchange in the scenario\n" in ran.part("test_it")


def test_skipped_test_stays_skipped(run: Callable[..., Any]):
    ran = run(
        HEAD
        + """
@pytest.mark.reel("desktop.yaml")
def test_it(reel):
    httpx.get(reel.url + "/nothing")
    pytest.skip("not today")
"""
    )
    assert ran.outcomes == {"skipped": 1}


STRICT = (
    HEAD
    + """
@pytest.mark.reel("desktop.yaml", speed=0)
def test_it(reel):
    httpx.get(reel.url + "/api/v2/diagnostics/version")
"""
)


def test_strict_fails_a_test_with_unplayed_exchanges(run: Callable[..., Any]):
    assert run(STRICT).outcomes == {"passed": 1}
    ran = run(STRICT, "--reel-strict")
    assert ran.outcomes == {"failed": 1}
    assert (
        ran.part("test_it")
        == """\
--reel-strict: the test did not play an exchange of its scenario.
  'stats of place Place1' (desktop.yaml:5)"""
    )


def test_strict_in_the_ini_file(run: Callable[..., Any], project: Any):
    project.makefile(".ini", pytest=(project.path / "pytest.ini").read_text() + "\nreel_strict = true\n")
    assert run(STRICT).outcomes == {"failed": 1}


def test_strict_does_not_hide_another_failure(run: Callable[..., Any]):
    ran = run(STRICT + "    assert reel.calls == []\n", "--reel-strict")
    assert ran.outcomes == {"failed": 1}
    assert "did not play" not in ran.text


def test_invalid_scenario_is_reported_at_the_line_of_the_test(run: Callable[..., Any], project: Any):
    (project.path / "bad.yaml").write_text("cometreel: 1\nexchanges: 5\nbayeux: {}\nextra: 1\n")
    ran = run("def test_it(reel):\n    reel.play('bad.yaml')\n")
    file = project.path / "bad.yaml"
    text = ran.part("test_it")
    assert ">       reel.play('bad.yaml')" in text
    assert f"E       cometreel.errors.FileInvalid: {file}:2:12: the number 5; expected a list" in text
    assert text.endswith("test_desktop.py:2: FileInvalid")
    assert "cometreel/pytest_plugin" not in text


def test_invalid_marker_is_reported_in_one_line(run: Callable[..., Any], project: Any):
    ran = run(
        """
import pytest

@pytest.mark.reel("desktop.yaml", sped=0)
def test_name(reel): ...

@pytest.mark.reel("desktop.yaml", speed=-1)
def test_value(reel): ...

@pytest.mark.reel("missing.yaml")
def test_file(reel): ...

@pytest.mark.reel
def test_nothing(reel): ...
"""
    )
    assert ran.outcomes == {"errors": 4}
    message = "@pytest.mark.reel: it got an unexpected keyword argument 'sped'"
    assert ran.part("ERROR at setup of test_name").startswith(message)  # Python 3.13 also suggests a name
    assert ran.part("ERROR at setup of test_value") == (
        "@pytest.mark.reel: speed: -1 can't be used; expected a number, 0 or more"
    )
    assert ran.part("ERROR at setup of test_file") == (
        f"@pytest.mark.reel: {project.path}/missing.yaml: no such file; expected a scenario file or folder "
        "(to record it: pytest --reel-record=URL)"
    )
    assert ran.part("ERROR at setup of test_nothing") == (
        "@pytest.mark.reel: reel.play: nothing to play; expected a file, YAML text or a Scenario"
    )


def test_reel_without_a_scenario(run: Callable[..., Any]):
    text = run("def test_it(reel):\n    reel.url\n").part("test_it")
    assert text.endswith(
        """\
    def test_it(reel):
>       reel.url
E       cometreel.pytest_plugin.reel_fixture.NothingPlayed: the reel has no scenario; expected \
reel.play(SCENARIO) first, or @pytest.mark.reel(SCENARIO)

test_desktop.py:2: NothingPlayed"""
    )
