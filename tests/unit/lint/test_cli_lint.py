"""`cometreel lint`: exit codes, the three formats, and fixes in a new file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cometreel import __version__
from cometreel.cli import ExitCode, run
from cometreel.lint import FORMATS, RULES
from cometreel.scenario import parse
from tests.base_install import needs_extra

pytestmark = needs_extra("secrets")

GOOD = "cometreel: 1\nexchanges:\n  - name: a\n    request: {method: GET, path: /a}\n"
BAD = (
    "cometreel: 1\n# a comment\nexchanges:\n  - name: a\n    request: {method: GET, path: /a}\n"
    "    reply: {headers: {Date: 'Mon, 23 Nov 2026 10:00:00 GMT'}, body: {password: hunter2hunter2, id: 5}}\n"
)
NOTE = GOOD + "timeline:\n  - {since: a, channel: /v2/me/x, data: {referenceId: 3}}\ncorrelation: gws-v2\n"
SECRET = "the value looks like a secret: its name is 'password'; expected 'hidden' (--fix replaces it)"
DATE = "the header Date is the time of the recording; expected no such header (caches compare it with the current time)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the commands run, with a scenario without issues, one with errors and one with a note."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("good", GOOD), ("bad", BAD), ("note", NOTE)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_text_has_a_line_for_each_issue_and_exit_code_1(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lint", "good.yaml", "bad.yaml"]) == ExitCode.CHECK_FAILED
    assert capsys.readouterr() == (
        f"bad.yaml:6:29: warning ageing: {DATE}\nbad.yaml:6:80: error secret: {SECRET}\n",
        "",
    )


def test_no_issues_print_nothing_and_a_note_is_not_a_failure(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lint", "good.yaml"]) == ExitCode.SUCCESS
    assert capsys.readouterr() == ("", "")
    assert run(["lint", "note.yaml"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out.startswith("note.yaml:6:")


def test_json_is_one_list_with_the_fields_of_each_issue(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lint", "--format", "json", "bad.yaml"]) == ExitCode.CHECK_FAILED
    assert json.loads(capsys.readouterr().out)[1] == {
        "file": "bad.yaml",
        "line": 6,
        "column": 80,
        "level": "error",
        "rule": "secret",
        "found": "the value looks like a secret: its name is 'password'",
        "expected": "'hidden'",
        "hint": "--fix replaces it",
        "fixable": True,
    }
    assert run(["lint", "--format", "json", "good.yaml"]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == "[]\n"


def test_sarif_names_every_rule_and_places_every_result(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lint", "--format", "sarif", "bad.yaml"]) == ExitCode.CHECK_FAILED
    log = json.loads(capsys.readouterr().out)
    assert (log["version"], log["$schema"].rpartition("/")[2]) == ("2.1.0", "sarif-schema-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert (driver["name"], driver["semanticVersion"]) == ("cometreel lint", __version__)
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert one["results"][1] == {
        "ruleId": "secret",
        "ruleIndex": list(RULES).index("secret"),
        "level": "error",
        "message": {"text": SECRET},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "bad.yaml"},
                    "region": {"startLine": 6, "startColumn": 80},
                }
            }
        ],
    }


def test_sarif_names_files_as_uris(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "a b.yaml").write_text(BAD)
    for name, uri in (("a b.yaml", "a%20b.yaml"), (str(folder / "a b.yaml"), (folder / "a b.yaml").as_uri())):
        run(["lint", "--format", "sarif", name])
        log: dict[str, Any] = json.loads(capsys.readouterr().out)
        location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
        assert location == {"uri": uri}


def test_fixes_are_written_to_a_new_file(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["lint", "--fix", "bad.yaml"]) == ExitCode.CHECK_FAILED
    assert capsys.readouterr().err == "fixed in bad.new.yaml\nJSON Schema for editors in scenario.schema.json\n"
    assert (folder / "bad.yaml").read_text() == BAD
    (exchange,) = parse(folder / "bad.new.yaml").exchanges or []
    assert exchange.reply is not None
    assert (exchange.reply.headers, exchange.reply.body) == ({}, {"password": "hidden", "id": 5})
    assert run(["lint", "bad.new.yaml"]) == ExitCode.SUCCESS


def test_unsafe_changes_are_not_made(folder: Path, capsys: pytest.CaptureFixture[str]):
    """A request without its secret would match other requests; a removed exchange might be needed later."""
    request = GOOD.replace("path: /a", "path: /a, body: {password: hunter2hunter2}")
    (folder / "request.yaml").write_text(request + request.partition("exchanges:\n")[2].replace("name: a", "name: b"))
    assert run(["lint", "--fix", "request.yaml"]) == ExitCode.CHECK_FAILED
    assert capsys.readouterr().err == ""
    assert not (folder / "request.new.yaml").exists()


def test_a_folder_is_one_scenario_without_its_proposals(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "bad.yaml").rename(folder / "bad.new.yaml")
    (folder / "note.yaml").unlink()
    assert run(["lint", "."]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Missing argument 'SCENARIO...' (see: cometreel lint --help)"),
        (
            ["none.yaml"],
            "none.yaml: can't be read: No such file or directory; expected a scenario file or folder",
        ),
        (["empty"], "empty: the folder has no scenarios; expected *.yaml or *.yml files"),
        (
            ["good.yaml", "--format", "xml"],
            "Invalid value for '--format': 'xml' is not one of 'text', 'json', 'sarif' (see: cometreel lint --help)",
        ),
    ],
)
def test_input_that_cannot_be_checked_is_one_line_and_exit_code_2(
    folder: Path, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
):
    (folder / "empty").mkdir()
    assert run(["lint", *arguments]) == ExitCode.ERROR
    assert capsys.readouterr() == ("", f"cometreel: {line}\n")


def test_the_formats_are_listed_in_the_help():
    assert list(FORMATS) == ["text", "json", "sarif"]


def test_an_issue_in_a_data_file_names_both_places_and_the_fix_writes_a_new_data_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "login.json").write_text('{\n  "password": "hunter2hunter2"\n}')
    (folder / "data.yaml").write_text(GOOD + "    reply: {body: {$file: login.json}}\n")
    assert run(["lint", "data.yaml", "--fix"]) == ExitCode.CHECK_FAILED
    place = SECRET.replace("; expected", ", in login.json:2:15; expected")
    assert capsys.readouterr().out.splitlines()[0] == f"data.yaml:5:19: error secret: {place}"
    assert "body: {$file: data/login-1.json}" in (folder / "data.new.yaml").read_text()
    assert json.loads((folder / "data/login-1.json").read_text()) == {"password": "hidden"}


def test_a_missing_data_file_is_an_issue(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "data.yaml").write_text(GOOD + "    reply: {body: {$file: none.json}}\n")
    assert run(["lint", "data.yaml"]) == ExitCode.CHECK_FAILED
    assert "data.yaml:5:27: error schema: the data file none.json doesn't exist; expected" in capsys.readouterr().out
