"""`cometreel export`: converts a scenario to another format and prints the parts that the format can't express."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cometreel.cli.progress import show_progress
from cometreel.errors import FileInvalid, Problem
from cometreel.extras import require_extra
from cometreel.traffic.har_files import write_har
from cometreel.traffic.openapi_summary import openapi_summary
from cometreel.traffic.simulation import simulate

__all__ = ["export"]


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--har", is_flag=True, help="Print a HAR file, for browsers and other tools.")
@click.option("--mitm", type=click.Path(path_type=Path), metavar="FILE", help="Write a mitmproxy flow file to FILE.")
@click.option("--openapi", is_flag=True, help="Print a summary of the recorded operations in OpenAPI format.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write to this file instead of standard output.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def export(scenario: Path, mitm: Path | None, out: Path | None, *, har: bool, openapi: bool, force: bool) -> None:
    """Convert a scenario to HAR, mitmproxy flows or an OpenAPI summary.

    SCENARIO is a file or a folder. The parts that the format can't express are listed on standard error.

    \b
    Example:
      cometreel export recordings/desktop.yaml --har -o desktop.har
      cometreel export recordings/desktop.yaml --mitm desktop.mitm
      cometreel export recordings/desktop.yaml --openapi
    """
    if [har, openapi, mitm is not None].count(True) != 1:
        raise click.UsageError("choose one of --har, --mitm FILE, --openapi")
    if mitm is not None and out is not None:
        raise click.UsageError("--mitm has its own file name: omit -o")
    with show_progress(f"exporting {scenario.name}"):
        content, notes = _content(scenario, har=har, openapi=openapi)
    target = mitm or out
    if target is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        _write(target, content, force=force)
        click.echo(target)
    for note in notes:
        click.echo(note, err=True)


def _content(scenario: Path, *, har: bool, openapi: bool) -> tuple[bytes, list[str]]:
    if openapi:
        document, left_out = openapi_summary(scenario)
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n", left_out
    traffic = simulate(scenario)
    if har:
        return write_har(traffic), [*traffic.notes]
    require_extra("record", "exporting a flow file")
    from cometreel.traffic.mitmproxy_flows import write_flows  # noqa: PLC0415  # mitmproxy, an optional dependency

    return write_flows(traffic), [*traffic.notes]


def _write(path: Path, content: bytes, *, force: bool) -> None:
    if path.exists() and not force:
        raise FileInvalid([Problem(str(path), 0, 0, "the file exists", "no file", "--force overwrites it")])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a writable folder with free space")]) from None
