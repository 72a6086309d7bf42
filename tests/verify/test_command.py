"""The command `cometreel verify`: its output, its files, and its errors, each in one sentence."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cometreel.cli import ExitCode, run
from cometreel.scenario import load, loads
from cometreel.serve import replay_app, serve_in_background
from cometreel.serve.certificate import local_certificate
from demo import peers
from tests.verify.conftest import LOGIN, RECORDED, answering

Serving = Callable[..., str]

GET = "cometreel: 1\nexchanges:\n  - {name: a, request: {method: GET, path: /a}, reply: {body: {n: 1}}}\n"
WITH_NOTIFICATION = (
    "cometreel: 1\nexchanges:\n  - name: a\n    request: {method: POST, path: /a}\n"
    "    events: [{channel: /c, data: {n: 1}}]\n"
)


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write a scenario to `s.yaml` in the current folder."""
    monkeypatch.chdir(tmp_path)

    def write(text: str) -> str:
        Path("s.yaml").write_text(text)
        return "s.yaml"

    return write


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the error of the command, which is one sentence."""
    assert run(["verify", *arguments]) == ExitCode.ERROR
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err.removeprefix("cometreel: ").rstrip("\n")


BAD: dict[str, tuple[list[str], str]] = {
    "no such file": (
        ["none.yaml", "--against", "http://x"],
        "none.yaml: can't be read: No such file or directory; expected a scenario file or folder",
    ),
    "no address": (
        ["s.yaml", "--against", "x"],
        "--against: 'x'; expected http://HOST[:PORT] or https://HOST[:PORT]",
    ),
    "no duration": (
        ["s.yaml", "--against", "http://x", "--patience", "10"],
        "--patience: '10'; expected a number with its unit, such as 500ms or 10s",
    ),
    "no value": (
        ["s.yaml", "--against", "http://x", "--value", "a"],
        "--value: 'a'; expected NAME=VALUE",
    ),
    "no policy": (
        ["s.yaml", "--against", "http://x", "--policy", "none"],
        (
            "none: can't be read: No such file or directory; expected a policy in YAML "
            "(shipped policies: default and strict)"
        ),
    ),
    "no netrc": (
        ["s.yaml", "--against", "http://x", "--netrc", "none"],
        "--netrc: none can't be read: No such file or directory; expected a netrc file",
    ),
    "no certificates": (
        ["s.yaml", "--against", "https://x", "--ca", "none"],
        "--ca: none can't be used: No such file or directory; expected a file of certificates (PEM)",
    ),
    "nothing to play": (
        ["empty.yaml", "--against", "http://x"],
        "empty.yaml: no exchanges; expected at least one to play",
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), BAD.values(), ids=BAD.keys())
def test_unusable_arguments(
    arguments: list[str], sentence: str, scenario: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    scenario(GET)
    Path("empty.yaml").write_text("cometreel: 1\n")
    assert refused(capsys, *arguments) == sentence


@pytest.mark.parametrize("text", [GET, WITH_NOTIFICATION], ids=["a request", "a handshake"])
def test_server_down(text: str, scenario: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert refused(capsys, scenario(text), "--against", url) == (
            f"--against: no usable answer from {url}: All connection attempts failed; expected a server that answers"
        )


def test_server_without_reply(scenario: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert refused(capsys, scenario(GET), "--against", url, "--patience", "200ms") == (
            f"--against: no usable answer from {url}: no reply within 0.2 s; expected a server that answers"
        )


@pytest.mark.parametrize("text", [GET, WITH_NOTIFICATION], ids=["a request", "a handshake"])
def test_redirect_is_not_followed(
    text: str, scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serving(answering(302, location="https://sso.example/login?state=s3cret"))
    request_line = "GET /a" if text == GET else "POST /cometd"
    assert refused(capsys, scenario(text), "--against", url) == (
        f"--against: {request_line} is redirected to https://sso.example; "
        "expected the final address (redirects are not followed)"
    )


def test_not_modified_is_no_redirect(scenario: Callable[[str], str], serving: Serving) -> None:
    assert run(["verify", scenario(GET), "--against", serving(answering(304))]) == ExitCode.CHECK_FAILED


def test_recorded_redirect_is_a_reply(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GET.replace("body: {n: 1}", "status: 302, headers: {Location: /b}")
    url = serving(answering(302, location="/b"))
    assert run(["verify", scenario(text), "--against", url]) == ExitCode.SUCCESS


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("text", [GET, WITH_NOTIFICATION], ids=["a request", "a handshake"])
def test_login_required_or_refused(
    text: str,
    status: int,
    scenario: Callable[[str], str],
    serving: Serving,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = serving(answering(status))
    expected = "expected a login name in COMETREEL_USER and its password in COMETREEL_PASSWORD (or --netrc FILE)"
    assert refused(capsys, scenario(text), "--against", url) == (
        f"COMETREEL_USER: {url} requires a login for 'everybody': status {status}; {expected}"
    )
    monkeypatch.setenv("COMETREEL_USER", "ann")
    monkeypatch.setenv("COMETREEL_PASSWORD", "s3cret")
    assert refused(capsys, scenario(text), "--against", url) == (
        f"COMETREEL_USER: {url} refused the login of 'everybody': status {status}; {expected}"
    )


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, "not here", "POST /cometd: status 404 without Bayeux messages"),
        (200, "<html>", "POST /cometd: status 200 without Bayeux messages"),
        (200, "[null]", "POST /cometd: status 200 without Bayeux messages"),
        (
            200,
            (
                '[{"channel": "/meta/handshake", "id": "1", "successful": false, "error": "403::no", '
                '"advice": {"reconnect": "none"}}]'
            ),
            "the server ended the CometD session: 403::no",
        ),
    ],
)
def test_server_without_cometd(
    status: int,
    body: str,
    reason: str,
    scenario: Callable[[str], str],
    serving: Serving,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = serving(answering(status, body))
    assert refused(capsys, scenario(WITH_NOTIFICATION), "--against", url) == (
        f"--against: no usable answer from {url}: {reason}; expected a server that answers"
    )


def test_certificates(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    certificate = local_certificate(tmp_path / "tls")
    url = serving(answering(200, '{"n": 1}'), certificate)
    error = refused(capsys, scenario(GET), "--against", url)
    assert error.startswith(f"--against: no usable answer from {url}: [SSL: CERTIFICATE_VERIFY_FAILED]")
    assert error.endswith("expected a server that answers (pass a self-signed server's certificate with --ca FILE)")
    for trust in (["--ca", str(certificate.chain)], ["--insecure"]):
        assert run(["verify", "s.yaml", "--against", url, *trust]) == ExitCode.SUCCESS


def test_proxy_and_netrc_of_the_environment_are_ignored(
    scenario: Callable[[str], str], serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(Request(scope).headers.get("authorization"))
        await JSONResponse({"n": 1})(scope, receive, send)

    url = serving(app)
    Path("netrc").write_text("machine 127.0.0.1 login ann password s3cret\n")
    monkeypatch.setenv("NETRC", "netrc")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert run(["verify", scenario(GET), "--against", url]) == ExitCode.SUCCESS
    assert run(["verify", "s.yaml", "--against", url, "--netrc", "netrc"]) == ExitCode.SUCCESS
    assert received == [None, "Basic YW5uOnMzY3JldA=="]


def test_path_of_the_url_is_prepended(scenario: Callable[[str], str], serving: Serving) -> None:
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await JSONResponse({"n": 1})(scope, receive, send)

    assert run(["verify", scenario(GET), "--against", f"{serving(app)}/gws/"]) == ExitCode.SUCCESS
    assert paths == ["/gws/a"]


def test_connection_closed_after_a_first_reply_is_a_difference(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/b":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ConnectionResetError
        await Response('{"n": 1}')(scope, receive, send)

    text = f"{GET}{GET.partition('exchanges:')[2].replace('name: a', 'name: b').replace('/a', '/b').lstrip()}"
    assert (
        run(["verify", scenario(text.replace("}}}\n-", "}}}\n  -")), "--against", serving(app)])
        == ExitCode.CHECK_FAILED
    )
    line, *_ = capsys.readouterr().out.splitlines()
    assert line.startswith("s.yaml:4: b: reply missing at /reply: recorded a reply, live ")


async def _endless(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    with suppress(OSError):  # the client has closed the connection
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    "app",
    [_endless, answering(200, gzip.compress(b"x" * 100_000_000), content_encoding="gzip")],
    ids=["as it is", "packed"],
)
@pytest.mark.parametrize(
    ("text", "request_line"), [(GET, "GET /a"), (WITH_NOTIFICATION, "POST /cometd")], ids=["a reply", "a handshake"]
)
def test_endless_reply(
    app: ASGIApp,
    text: str,
    request_line: str,
    scenario: Callable[[str], str],
    serving: Serving,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert refused(capsys, scenario(text), "--against", serving(app)) == (
        f"--against: the reply to {request_line} has more than 16777216 bytes; "
        "expected replies of at most 16777216 bytes"
    )


def test_no_exchange_that_can_be_sent(scenario: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    text = WITH_NOTIFICATION.replace("path: /a", "path: [{$any: string}]")
    assert run(["verify", scenario(text), "--against", "http://127.0.0.1:1"]) == ExitCode.ERROR
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith(
        "s.yaml:3: a: not played: the scenario does not contain the value of {$any: string} in its path"
    )
    assert (
        err == "cometreel: verify: no exchange could be played; expected at least one (the report gives the reasons)\n"
    )


def test_reports_in_files_and_as_json(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serving(answering(200, '{"n": 2}'))
    arguments = ["verify", scenario(GET), "--against", url, "--json", "--junit", "r.xml", "--html", "r.html"]
    assert run(arguments) == ExitCode.CHECK_FAILED
    report = json.loads(capsys.readouterr().out)
    (difference,) = report["exchanges"][0]["differences"]
    assert (difference["what"], difference["recorded"], difference["live"]) == ("value changed", 1, 2)
    (failure,) = ET.fromstring(Path("r.xml").read_text()).iter("failure")
    assert failure.get("message") == "value changed at /reply/body/n: recorded 1, live 2"
    assert "value changed" in Path("r.html").read_text()


def test_report_that_cannot_be_written(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serving(answering(200, '{"n": 1}'))
    error = refused(capsys, scenario(GET), "--against", url, "--html", "none/r.html")
    assert error == "none/r.html: can't be written: No such file or directory; expected a writable folder"


def test_accepted_scenario_is_written_next_to_the_old_one(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serving(answering(200, '{"n": 2}'))
    assert run(["verify", scenario(GET), "--against", url, "--accept"]) == ExitCode.CHECK_FAILED
    assert Path("s.yaml").read_text() == GET
    assert capsys.readouterr().err.splitlines() == [
        "--- s.yaml",
        "+++ s.new.yaml",
        "@@ -1,3 +1,4 @@",
        " cometreel: 1",
        " exchanges:",
        "-  - {name: a, request: {method: GET, path: /a}, reply: {body: {n: 1}}}",
        "+  # verify: value changed at /reply/body/n: recorded 1, live 2",
        "+  - {name: a, request: {method: GET, path: /a}, reply: {body: {n: 2}}}",
        "s.new.yaml",
        "JSON Schema for editors in scenario.schema.json",
        "s.yaml is unchanged",
    ]
    assert run(["verify", "s.new.yaml", "--against", url]) == ExitCode.SUCCESS


def test_an_earlier_proposal_is_not_overwritten(
    scenario: Callable[[str], str], serving: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    path, url = scenario(GET), serving(answering(200, '{"n": 2}'))
    Path("s.new.yaml").write_text("mine")
    assert run(["verify", path, "--against", url, "--accept"]) == ExitCode.CHECK_FAILED
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("s.")] == [
        "s.new2.yaml",
        "s.yaml is unchanged",
    ]
    assert Path("s.new.yaml").read_text() == "mine"


@pytest.mark.parametrize("change", ["field-renamed", "status-changed", "event-added", "event-dropped"])
def test_the_proposal_of_a_changed_server_has_no_differences(
    change: str, tmp_path: Path, login: None, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = tmp_path / "desktop.yaml"
    recorded.write_text((peers.ROOT / RECORDED).read_text() + "\n# mine\n")
    server = peers.stand_in(tmp_path, "--change", change)
    with server.process:
        assert run(["verify", str(recorded), "--against", server.url, "--accept"]) == ExitCode.CHECK_FAILED
        reported = capsys.readouterr().out.splitlines()[0].partition(": ")[2].partition(": ")[2]
        assert run(["verify", str(tmp_path / "desktop.new.yaml"), "--against", server.url]) == ExitCode.SUCCESS
    new = (tmp_path / "desktop.new.yaml").read_text()
    assert [line.strip() for line in new.splitlines() if "# verify" in line] == [f"# verify: {reported}"]
    assert new.endswith("\n# mine\n")


def test_the_parity_of_another_replay_is_in_every_report(
    scenario: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """cometreel: 1
correlation: gws-v2
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - name: stats
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {body: {statusCode: 0, referenceId: 1}}
    events:
      - {after: 10ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: first, count: 1}}
      - {after: 20ms, channel: /v2/me/workbins, data: {referenceId: 1, kind: second, count: 2}}
  # the version
  - {name: version, request: {method: GET, path: /version}, reply: {body: {version: 1}}}
"""
    path = scenario(text)
    changed = loads(text.replace("count: 2", "count: 3"))
    parity = "1 of 2 exchanges and 1 of 2 notifications are equal"
    reports = [f"--junit={tmp_path / 'r.xml'}", f"--html={tmp_path / 'r.html'}"]
    with serve_in_background(replay_app(changed)) as served:
        assert run(["verify", path, "--against", served.url, *reports]) == ExitCode.CHECK_FAILED
        assert capsys.readouterr().out.splitlines() == [
            "s.yaml:10: stats: value changed at /events/1/data/count: recorded 2, live 3",
            parity,
            f"s.yaml against {served.url}: 1 same, 1 drifted, 0 not played: 1 difference",
        ]
        assert run(["verify", path, "--against", served.url, "--json"]) == ExitCode.CHECK_FAILED
    assert json.loads(capsys.readouterr().out)["parity"] == {
        "exchanges": {"equal": 1, "of": 2},
        "notifications": {"equal": 1, "of": 2},
    }
    assert parity in (tmp_path / "r.html").read_text()
    junit = (tmp_path / "r.xml").read_text()
    assert '<property name="exchanges equal" value="1 of 2" />' in junit
    assert '<property name="notifications equal" value="1 of 2" />' in junit


def test_accept_without_differences_writes_nothing(scenario: Callable[[str], str], serving: Serving) -> None:
    url = serving(answering(200, '{"n": 1}'))
    assert run(["verify", scenario(GET), "--against", url, "--accept"]) == ExitCode.SUCCESS
    assert [path.name for path in Path().iterdir()] == ["s.yaml"]


def test_announced_csrf_token_is_sent(tmp_path: Path, login: None, capsys: pytest.CaptureFixture[str]) -> None:
    server = peers.stand_in(tmp_path, "--csrf")
    with server.process:
        assert run(["verify", str(peers.ROOT / RECORDED), "--against", server.url]) == ExitCode.SUCCESS
    assert capsys.readouterr().out.splitlines()[-1].endswith(": 24 same, 0 drifted, 0 not played: 0 differences")


def test_each_role_has_its_own_session(
    scenario: Callable[[str], str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = """
  - name: stats of {0}
    as: {0}
    request: {{method: POST, path: /api/v2/workbins, body: {{operationName: RequestAgentStats}}}}
    reply: {{body: {{statusCode: 0, referenceId: 1}}}}
    events: [{{after: 20ms, channel: /v2/me/workbins, data: {{referenceId: 1, id: {0}}}}}]
"""
    head = "cometreel: 1\ncorrelation: gws-v2\nsettings: {auth: session}\n"
    roles = "bayeux: {endpoint: /api/v2/notifications}\nroles: {ann: {user: ann}, ben: {user: ben}}\n"
    path = scenario(f"{head}{roles}exchanges:{one.format('ann')}{one.format('ben')}")
    for name in ("ANN", "BEN"):
        monkeypatch.setenv(f"COMETREEL_PASSWORD_{name}", "any")
    with serve_in_background(replay_app(load([path]))) as served:
        assert run(["verify", path, "--against", served.url]) == ExitCode.SUCCESS
        # a login as the other user receives the other's notifications
        monkeypatch.setenv("COMETREEL_USER_BEN", "ann")
        assert run(["verify", path, "--against", served.url]) == ExitCode.CHECK_FAILED
    assert "stats of ben: value changed at /events/0/data/id: recorded ben, live ann" in capsys.readouterr().out


def test_terminal_prompt_hides_the_password(stand_in: str, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    program = Path(sys.executable).with_name("cometreel")
    command: list[str | Path] = [program, "verify", peers.ROOT / RECORDED, "--against", stand_in, "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMETREEL_")}
    with subprocess.Popen(
        command, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=environment
    ) as asking:
        assert asking.stderr is not None
        _await(asking.stderr.fileno(), b"login name of agent-1 [dapepomoba]: ")
        os.write(master, f"{peers.ANN.user}\n".encode())
        _await(asking.stderr.fileno(), b"password of agent-1 (COMETREEL_PASSWORD_AGENT_1): ")
        os.write(master, f"{peers.ANN.password}\n".encode())
        out, err = asking.communicate(timeout=60)
    os.close(slave)
    os.close(master)
    assert (asking.returncode, json.loads(out)["counts"]["differences"]) == (ExitCode.SUCCESS, 0)
    assert peers.ANN.password.encode() not in out + err


def _await(file: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        piece = os.read(file, 1024)
        assert piece, seen
        seen += piece


def test_output_has_no_secrets_and_no_personal_data(
    tmp_path: Path, login: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Much of the recording is made to differ, so that its values occur in the reports."""
    text = (peers.ROOT / RECORDED).read_text()
    drifted = tmp_path / "drifted.yaml"
    drifted.write_text(
        re.sub(r"^(\s+)(statusCode|messageType|workbinName|firstName): .*$", r"\1\2: [1]", text, flags=re.MULTILINE)
    )
    server = peers.stand_in(tmp_path, "--csrf")
    with server.process:
        files = ["--junit", str(tmp_path / "r.xml"), "--html", str(tmp_path / "r.html"), "--accept"]
        assert run(["verify", str(drifted), "--against", server.url, *files]) == ExitCode.CHECK_FAILED
        log = server.process.out
    output = "".join(capsys.readouterr())
    output += "".join(path.read_text() for path in tmp_path.iterdir() if path.is_file() and path != log)
    center = json.loads((peers.NODE / "contact_center.json").read_text())
    users = [user[key] for user in center["users"] for key in ("userName", "password", "firstName", "emailAddress")]
    customers = [value for item in center["interactions"] for value in [item["subject"], *item["userData"].values()]]
    assert len(output) > 20_000
    assert [word for word in [*users, *customers, LOGIN["COMETREEL_PASSWORD"]] if word in output] == []
    assert re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", output) != []
