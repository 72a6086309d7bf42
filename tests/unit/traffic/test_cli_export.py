"""`cometreel export`: three formats, notes on stderr, existing files are kept, one line per usage error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from tests.base_install import needs_extra

SCENARIO = """
cometreel: 1
title: Two agents
bayeux: {endpoint: /cometd}
correlation: gws-v2
roles: {ann: {user: ann}, ben: {}}
exchanges:
  - name: stats of ann
    as: ann
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {after: 10ms, body: {statusCode: 0, referenceId: 7}}
    events:
      - {after: 30ms, channel: /v2/me/workbins, data: {messageType: WorkbinStatsMessage, referenceId: 7}}
  - name: stats of ben
    as: ben
    request: {method: POST, path: /api/v2/workbins, body: {operationName: RequestAgentStats}}
    reply: {body: {statusCode: 4, statusMessage: no}, status: 500}
  - name: a workbin
    request: {method: GET, path: /api/v2/workbins/861640a2-5e11-4c0b-b0a7-93d2c1f4e501, query: {fields: {$any: string}}}
  - name: odd
    request: {method: GET, path: {$regex: "^/(a|b){3}$"}}
  - name: never
    request: {method: GET, path: [api, v2, workbins, 861640a2-5e11-4c0b-b0a7-93d2c1f4e501], query: {fields: text}}
  - name: hello
    request: {publish: /chat/room, data: {text: hello}}
    events: [{channel: /chat/news, data: {text: welcome}}]
timeline:
  - {since: connect, after: 20ms, channel: /v2/me/workbins, data: {messageType: Other}}
faults:
  - {exchange: hello, nth: 2, drop-event: 1}
"""
LEFT_OUT = (
    "'a workbin': one example request represents all requests that match its pattern\n"
    "'odd' is left out: no example can be created for {$regex: ^/(a|b){3}$}\n"
    "'never' is not included: 'a workbin' answers its request\n"
    "faults are left out (1): the format can't express them\n"
)


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario with every kind of entry, in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "two.yaml"
    path.write_text(SCENARIO)
    return path


def test_har_is_printed_and_omissions_are_listed(scenario: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", "two.yaml", "--har"]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert err == LEFT_OUT
    log = json.loads(out)["log"]
    assert (log["version"], log["comment"]) == ("1.2", "Two agents")
    calls = [entry for entry in log["entries"] if not entry["request"]["url"].endswith("/cometd")]
    assert [
        (entry["request"]["method"], entry["request"]["url"], entry["time"], entry["response"]["status"])
        for entry in calls
    ] == [
        ("POST", "http://cometreel.example/api/v2/workbins", 10.0, 200),
        ("POST", "http://cometreel.example/api/v2/workbins", 0.0, 500),
        (
            "GET",
            "http://cometreel.example/api/v2/workbins/861640a2-5e11-4c0b-b0a7-93d2c1f4e501?fields=text",
            0.0,
            200,
        ),
        (
            "GET",
            "http://cometreel.example/api/v2/workbins/861640a2-5e11-4c0b-b0a7-93d2c1f4e501?fields=text",
            0.0,
            200,
        ),
    ]


def test_each_role_has_its_own_session(scenario: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["export", "two.yaml", "--har", "-o", "two.har"]) == ExitCode.SUCCESS
    assert run(["import", "two.har", "-o", "back.yaml"]) == ExitCode.SUCCESS
    assert ", 2 sessions\n" in capsys.readouterr().err


def test_openapi_has_an_operation_for_each_path_and_method_with_all_its_variants(
    scenario: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["export", "two.yaml", "--openapi"]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert err == (
        "'odd' is left out: its whole path is a pattern\n"
        "faults are left out (1)\n"
        "times, order and guards (when:) are left out\n"
    )
    document = json.loads(out)
    assert (document["openapi"], document["info"]["title"]) == ("3.1.0", "Two agents")
    assert list(document["paths"]) == ["/api/v2/workbins", "/api/v2/workbins/{workbinId}"]
    operation = document["paths"]["/api/v2/workbins"]["post"]
    assert operation["x-exchanges"] == ["stats of ann", "stats of ben"]
    (variant,) = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert (variant["title"], list(variant["properties"])) == ("RequestAgentStats", ["operationName"])
    assert list(operation["responses"]) == ["200", "500"]
    (notification,) = operation["x-notifications"]
    assert (notification["channel"], notification["schema"]["required"]) == (
        "/v2/me/workbins",
        ["messageType", "referenceId"],
    )
    parameters = document["paths"]["/api/v2/workbins/{workbinId}"]["get"]["parameters"]
    assert [(one["in"], one["name"], one["required"]) for one in parameters] == [
        ("path", "workbinId", True),
        ("query", "fields", False),
    ]
    assert list(document["x-publishes"]) == ["/chat/room"]
    assert [one["channel"] for one in document["x-unsolicited"]] == ["/v2/me/workbins"]


def test_openapi_has_the_receivers_of_notifications(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "news.yaml"
    event = "{channel: /news, data: 1, deliver: subscribers}"
    path.write_text(f"cometreel: 1\nexchanges: [{{name: a, request: {{method: GET, path: /a}}, events: [{event}]}}]\n")
    assert run(["export", str(path), "--openapi"]) == ExitCode.SUCCESS
    operation = json.loads(capsys.readouterr().out)["paths"]["/a"]["get"]
    assert operation["x-notifications"] == [
        {"channel": "/news", "deliver": "subscribers", "schema": {"type": "integer"}}
    ]


@needs_extra("record")
def test_an_existing_file_is_overwritten_only_with_force(scenario: Path, capsys: pytest.CaptureFixture[str]):
    (scenario.parent / "there").write_text("mine")
    for arguments in (["--har", "-o", "there"], ["--mitm", "there"], ["--openapi", "-o", "there"]):
        assert run(["export", "two.yaml", *arguments]) == ExitCode.ERROR
        assert capsys.readouterr().err == (
            "cometreel: there: the file exists; expected no file (--force overwrites it)\n"
        )
    assert (scenario.parent / "there").read_text() == "mine"
    assert run(["export", "two.yaml", "--har", "-o", "there", "--force"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == "there\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["two.yaml"], "choose one of --har, --mitm FILE, --openapi (see: cometreel export --help)"),
        (
            ["two.yaml", "--har", "--openapi"],
            "choose one of --har, --mitm FILE, --openapi (see: cometreel export --help)",
        ),
        (
            ["two.yaml", "--mitm", "a", "-o", "b"],
            "--mitm has its own file name: omit -o (see: cometreel export --help)",
        ),
        (
            ["none.yaml", "--har"],
            "none.yaml: can't be read: No such file or directory; expected a scenario file or folder",
        ),
        (
            ["two.yaml", "--har", "-o", "two.yaml/x"],
            "two.yaml/x: can't be written: File exists; expected a writable folder with free space",
        ),
    ],
)
def test_a_usage_error_gives_one_line_and_exit_code_2(
    scenario: Path, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["export", *arguments]) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {line}\n")
