"""`cometreel export`: a scenario in another program's format. Parses, writes and names what is left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from cometreel.cli.progress import show_progress
from cometreel.errors import FileInvalid, Problem
from cometreel.extras import require_extra
from cometreel.traffic.har_files import write_har as har_of
from cometreel.traffic.openapi_summary import openapi_summary as openapi_of
from cometreel.traffic.simulation import traffic_of

__all__ = ["export"]


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path))
@click.option("--har", is_flag=True, help="Print it as a HAR file, for browsers and other tools.")
@click.option("--mitm", type=click.Path(path_type=Path), metavar="FILE", help="Write FILE as a flow file of mitmproxy.")
@click.option("--openapi", is_flag=True, help="Print a summary of the operations seen, in OpenAPI's words.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write here in place of printing.")
@click.option("--force", is_flag=True, help="Write over a file that is there already.")
def export(scenario: Path, mitm: Path | None, out: Path | None, *, har: bool, openapi: bool, force: bool) -> None:
    """Give SCENARIO, a file or a folder of them, in another format; what that can't express is named.

    \b
    Example:
      cometreel export recordings/desktop.yaml --har -o desktop.har
      cometreel export recordings/desktop.yaml --mitm desktop.mitm
      cometreel export recordings/desktop.yaml --openapi
    """
    if [har, openapi, mitm is not None].count(True) != 1:
        raise click.UsageError("choose one of --har, --mitm FILE, --openapi")
    if mitm is not None and out is not None:
        raise click.UsageError("--mitm names its file itself: leave out -o")
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
        document, left_out = openapi_of(scenario)
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n", left_out
    traffic = traffic_of(scenario)
    if har:
        return har_of(traffic), [*traffic.notes]
    require_extra("record", "exporting a flow file")
    from cometreel.traffic.mitmproxy_flows import write_flows  # noqa: PLC0415  # mitmproxy takes a second to load

    return write_flows(traffic), [*traffic.notes]


def _write(path: Path, content: bytes, *, force: bool) -> None:
    if path.exists() and not force:
        raise FileInvalid([Problem(str(path), 0, 0, "it is there already", "no file", "--force writes over it")])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        found = f"can't be written: {error.strerror or error}"
        raise FileInvalid([Problem(str(path), 0, 0, found, "a folder with room where you may write")]) from None
