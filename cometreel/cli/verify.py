"""`cometreel verify`: compares the answers of a live server with a scenario. Prompts for missing passwords."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict, Unpack

import click

from cometreel.cli.exit_codes import ExitCode
from cometreel.cli.progress import show_progress
from cometreel.errors import FileInvalid, OptionInvalid, Problem
from cometreel.extras import require_extra
from cometreel.jsonvalue import JSON, readable
from cometreel.recording import load_policy, write_scenario
from cometreel.recording.secret import Secret
from cometreel.scenario import load, parse_duration
from cometreel.verify import (
    Credentials,
    ReportMasking,
    Script,
    SessionPlan,
    Verdict,
    VerifyRun,
    build_script,
    environment_variables,
    find_credentials,
    html_report,
    json_report,
    junit_report,
    parse_target,
    proposals,
    report_lines,
)
from cometreel.verify.run import Pace

__all__ = ["verify"]

_STYLES = {"drift": "red", "not played": "yellow", "note": "dim", "parity": "bold", "summary": "bold"}
_FILE = click.Path(path_type=Path)


class _VerifyOptions(TypedDict):
    """The values of the options, as click passes them."""

    pace: Pace
    patience: str
    values: tuple[str, ...]
    policy: str
    netrc: Path | None
    ca: Path | None
    insecure: bool
    json_: bool
    junit_file: Path | None
    html_file: Path | None
    accept: bool


@click.command()
@click.argument("scenario", nargs=-1, required=True, type=_FILE)
@click.option("--against", metavar="URL", required=True, help="The server: http://HOST[:PORT] or https://HOST[:PORT].")
@click.option(
    "--pace",
    type=click.Choice(["fast", "recorded"]),
    default="fast",
    show_default=True,
    help="Send requests as fast as possible, or with the recorded delays.",
)
@click.option(
    "--patience", default="10s", show_default=True, help="Maximum delay of an answer, compared with the recording."
)
@click.option("--value", "values", multiple=True, metavar="NAME=VALUE", help="Value of a {$capture} or {$id}.")
@click.option("--policy", default="default", show_default=True, help="Redaction policy: default, strict or a file.")
@click.option("--netrc", type=_FILE, help="netrc file with credentials; machine is ROLE@HOST or HOST.")
@click.option("--ca", type=_FILE, help="PEM file of the certificates to trust, instead of the system's.")
@click.option(
    "--insecure", is_flag=True, help="Trust any certificate. An attacker on the network can read the password."
)
@click.option("--json", "json_", is_flag=True, help="Print the report as JSON.")
@click.option("--junit", "junit_file", type=_FILE, help="Also write the report as JUnit XML.")
@click.option("--html", "html_file", type=_FILE, help="Also write the report as an HTML page.")
@click.option(
    "--accept",
    is_flag=True,
    help="Write NAME.new.yaml, with the live answers and each difference as a comment, and print the changes.",
)
def verify(scenario: tuple[Path, ...], against: str, **options: Unpack[_VerifyOptions]) -> int:
    """Compare the answers of a live server with a scenario.

    The recorded requests are sent to the server; requests that change data change it there. Exit codes: 0 no
    differences, 1 differences, 2 could not run. The login name and password of the role agent-1 are read from
    COMETREEL_USER_AGENT_1 and COMETREEL_PASSWORD_AGENT_1 (with a single role also COMETREEL_USER and
    COMETREEL_PASSWORD), from a netrc file or, on a terminal, from a prompt.

    \b
    Example:
      cometreel verify scenarios/desktop.yaml --against https://gws.example --html drift.html
    """
    require_extra("verify", "cometreel verify")
    script = build_script(load(scenario))
    verdict = _verdict(script, against, options)
    for file, text in ((options["junit_file"], junit_report), (options["html_file"], html_report)):
        if file is not None:
            _write(file, text(verdict))
    _print(verdict, json_=options["json_"])
    if options["accept"]:
        _accept(verdict, script)
    if not verdict.any_played:
        raise OptionInvalid("verify", "no exchange could be played", "at least one", "the report gives the reasons")
    return ExitCode.SUCCESS if verdict.same else ExitCode.CHECK_FAILED


def _verdict(script: Script, against: str, options: _VerifyOptions) -> Verdict:
    """Send the requests to the server and compare the answers."""
    from cometreel.verify.run_driver import drive  # noqa: PLC0415  # httpx, an optional dependency

    target = parse_target(against, ca=options["ca"], insecure=options["insecure"])
    masking = ReportMasking(load_policy(options["policy"]), secrets.token_bytes(32))
    prompt = _prompt if script.needs_login and sys.stdin.isatty() else None
    known = find_credentials(script.sessions, os.environ, target.host, options["netrc"], prompt)
    seconds = _seconds(options["patience"])
    users = {part: credentials.user for part, credentials in known.items()}
    given = _values(options["values"])
    pace, base = options["pace"], target.base
    run = VerifyRun(script, masking, users=users, option_values=given, pace=pace, patience_seconds=seconds, base=base)
    with show_progress(f"asking {target.host}"):
        asyncio.run(drive(run, script, target, masking, known, seconds))
    return run.verdict(target.base)


def _seconds(patience: str) -> float:
    try:
        return parse_duration(patience)
    except ValueError:
        raise OptionInvalid("--patience", repr(patience), "a number with its unit, such as 500ms or 10s") from None


def _values(written: Sequence[str]) -> Mapping[str, JSON]:
    found: dict[str, JSON] = {}
    for each in written:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise OptionInvalid("--value", repr(each), "NAME=VALUE")
        found[name.removeprefix("session.")] = value
    return found


def _prompt(part: SessionPlan) -> Credentials:
    """Prompt on the terminal."""
    user = click.prompt(f"login name of {part.name}", default=part.user, err=True)
    password = click.prompt(
        f"password of {part.name} ({environment_variables(part.name)[1]})", hide_input=True, err=True
    )
    return Credentials(user, Secret(password.encode()))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(file), 0, 0, found, "a writable folder")]) from None


def _print(verdict: Verdict, *, json_: bool) -> None:
    if json_:
        click.echo(readable(json_report(verdict), indent=2))
        return
    from rich.console import Console  # noqa: PLC0415  # slow, and not needed for JSON
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for kind, line in report_lines(verdict):
        console.print(Text(line, style=_STYLES.get(kind, "")))


def _accept(verdict: Verdict, script: Script) -> None:
    for path, text in proposals(verdict, script.sources, script.scenario.profile):
        written = write_scenario(text, Path(path))
        click.echo(written.difference, err=True)
        for line in (written.path, *written.notes, f"{path} is unchanged"):
            click.echo(line, err=True)
