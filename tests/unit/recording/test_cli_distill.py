"""`cometreel distill`: a scenario next to the journal, existing files are kept, one line per error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cometreel.cli import ExitCode, run
from cometreel.scenario import load


@pytest.fixture
def journal(wire: Any) -> Path:
    wire.login(0, "s1", "c1", "kate.smith")
    wire.call(1, "GET", "/api/v2/users/28383e5523c7479cae4afa8df88d66df", None, {"firstName": "Kate"}, session="s1")
    wire.recorder.close()
    path: Path = wire.path
    return path


def test_the_scenario_is_written_next_to_the_journal_and_the_summary_is_printed(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["distill", str(journal)]) == ExitCode.SUCCESS
    out, err = capsys.readouterr()
    assert out == f"{journal.with_suffix('.yaml')}\n"
    assert err == (
        "2 exchanges, 0 timeline entries, 1 session\n"
        "notifications: 0 unsolicited\n"
        "replaced secret values: 5 (clientId 1, header authorization 1, header cookie 3)\n"
        "replaced personal values: 1 (firstName 1)\n"
        "hidden in its own place only (shorter than 8 characters, or equal to a name used elsewhere): "
        "cookie JSESSIONID, clientId\n"
        f"JSON Schema for editors in {journal.parent / 'scenario.schema.json'}\n"
    )
    assert [exchange.name for exchange in load([journal.with_suffix(".yaml")]).exchanges] == ["me", "user 1"]


def test_an_existing_scenario_is_kept_and_the_difference_is_printed(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = journal.with_suffix(".yaml")
    run(["distill", str(journal)])
    text = target.read_text()
    edited = text.replace("title: session", "title: mine")
    target.write_text(edited)
    capsys.readouterr()
    assert run(["distill", str(journal)]) == ExitCode.SUCCESS
    new = journal.with_name("session.new.yaml")
    out = capsys.readouterr().out
    assert (target.read_text(), new.read_text()) == (edited, text)
    assert "-title: mine\n+title: session\n" in out
    assert out.endswith(f"{new}\n")
    assert run(["distill", str(journal), "--force"]) == ExitCode.SUCCESS
    assert target.read_text() == text


def test_another_policy_redacts_again(journal: Path, tmp_path: Path) -> None:
    out = tmp_path / "strict.yaml"
    assert run(["distill", str(journal), "--policy", "strict", "-o", str(out)]) == ExitCode.SUCCESS
    assert "28383e5523c7479cae4afa8df88d66df" not in out.read_text()
    assert "$id: user-1" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["none.jsonl"], "none.jsonl: can't be read: No such file or directory; expected a journal"),
        (
            ["{journal}", "--profile", "gws"],
            "--profile: 'gws'; expected detect, gws-v2, workspace-v3, or a YAML file with a profile",
        ),
        (["{journal}", "-o", "{journal}/x.yaml"], "{journal}/x.yaml: can't be written: "),
        (["{journal}", "--policy", "strikt"], "strikt: can't be read: No such file or directory; expected a policy"),
        (["{journal}", "-o", "{journal}", "--force"], "--out: {journal} is the journal itself; expected another file"),
        (["{journal}", "-o", "{key}", "--force"], "--out: {key} is the journal's key; expected another file"),
        (["{journal}", "-o", "/dev/full"], "/dev/full: not a file; expected the path of a scenario"),
        (["{journal}", "-o", "{folder}"], "{folder}: not a file; expected the path of a scenario"),
        (["{foreign}"], "{foreign}:1:1: not a Cometreel journal; expected a journal of version 1"),
    ],
)
def test_an_invalid_argument_or_file_gives_one_line_and_exit_code_2(
    journal: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    foreign = journal.with_name("foreign.jsonl")
    foreign.write_text("hello\n")
    places = {"journal": journal, "foreign": foreign, "key": journal.with_suffix(".key"), "folder": journal.parent}
    before = journal.read_bytes()
    assert run(["distill", *(argument.format(**places) for argument in arguments)]) == ExitCode.ERROR
    err = capsys.readouterr().err
    assert err.startswith("cometreel: " + line.format(**places))
    assert err.count("\n") == 1
    assert journal.read_bytes() == before


@pytest.fixture
def orders(wire: Any) -> Path:
    """A journal of a system whose replies and notifications share a ticket, recorded with another profile."""
    wire.login(0, "s1", "c1", "kate.smith")
    for at, ticket in ((1.0, 7), (2.0, 8)):
        wire.call(at, "POST", "/orders", {"item": f"lamp {ticket}"}, {"ticket": ticket}, session="s1")
        pushed = {"channel": "/orders", "data": {"ticket": ticket, "state": "on its way"}}
        wire.poll(at, at + 0.5, "c1", pushed, session="s1")
    wire.recorder.close()
    path: Path = wire.path
    return path


def test_a_custom_profile_is_used_and_written_into_the_scenario(orders: Path, capsys: pytest.CaptureFixture[str]):
    own = orders.with_name("orders-profile.yaml")
    own.write_text("reply: [/ticket]\nevent: [/ticket]\nwindow: 10s\n")
    assert run(["distill", str(orders)]) == ExitCode.SUCCESS
    assert "notifications: 2 by order, 0 unsolicited" in capsys.readouterr().err
    out = orders.with_name("paired.yaml")
    assert run(["distill", str(orders), "--profile", str(own), "-o", str(out)]) == ExitCode.SUCCESS
    assert "notifications: 2 by reference" in capsys.readouterr().err
    assert yaml.safe_load(out.read_text())["correlation"] == yaml.safe_load(own.read_text())
    assert [len(exchange.events) for exchange in load([out]).exchanges] == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "{own}: the file is empty; expected a correlation profile (start with 'reply: [/ticket]')"),
        ("reply: [/a]\nevnet: [/a]\n", "{own}:2:1: unknown key 'evnet'; expected one of "),
        ("reply: ticket\n", "{own}:1:8: "),
        ("extends: gws\n", "{own}:1:10: unknown correlation profile 'gws'; expected gws-v2 or workspace-v3"),
    ],
)
def test_an_invalid_profile_is_reported_with_its_position(
    journal: Path, capsys: pytest.CaptureFixture[str], text: str, line: str
):
    own = journal.with_name("own.yaml")
    own.write_text(text)
    assert run(["distill", str(journal), "--profile", str(own)]) == ExitCode.ERROR
    assert capsys.readouterr().err.startswith("cometreel: " + line.format(own=own))


def test_a_journal_without_its_key_can_be_distilled_but_not_redacted_again(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.with_suffix(".key").unlink()
    assert run(["distill", str(journal)]) == ExitCode.SUCCESS
    capsys.readouterr()
    assert run(["distill", str(journal), "--policy", "strict"]) == ExitCode.ERROR
    assert "the journal's pseudonym key is missing" in capsys.readouterr().err
