"""`cometreel import`: creates a scenario from a HAR file or a flow file, and shows the progress on a terminal."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, Unpack

import click

from cometreel.cli.distill import scenario_options
from cometreel.cli.progress import show_read_progress
from cometreel.errors import OptionInvalid
from cometreel.recording import load_policy, write_scenario
from cometreel.scenario import DETECT, chosen_profile
from cometreel.traffic.import_traffic import import_traffic

__all__ = ["import_"]


class _WriteOptions(TypedDict):
    """The options of the scenario that is written."""

    inline_limit: int
    force: bool


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Output file; default NAME.yaml next to FILE.")
@click.option("--url", help="Besides CometD, import only calls whose URL contains a match of this regular expression.")
@click.option("--journal", type=click.Path(path_type=Path), help="Also keep the journal, as a new file.")
@click.option("--policy", default="default", help="Redaction policy: default, strict or a policy file.")
@click.option("--profile", default=DETECT, help="Correlate with this profile: detect, gws-v2, workspace-v3 or a file.")
@scenario_options
def import_(
    file: Path,
    out: Path | None,
    url: str | None,
    journal: Path | None,
    policy: str,
    profile: str,
    *,
    generalise: bool,
    **options: Unpack[_WriteOptions],
) -> None:
    """Create a scenario from a browser's HAR file or a mitmproxy flow file.

    CometD traffic is always imported; of the other calls, all except scripts, styles, images and fonts,
    unless --url is given. Secrets are replaced before anything is written, as in a recording. FILE is
    not changed.

    \b
    Example:
      cometreel import desktop.har --url /api/v2/
      cometreel import flows.mitm -o recordings/desktop.yaml --journal recordings/desktop.jsonl
    """
    choice, loaded_policy, pattern = chosen_profile(profile, "--profile"), load_policy(policy), _pattern(url)
    with _journal_path(journal) as path, show_read_progress(file) as progress:
        distilled = import_traffic(
            file,
            path,
            policy=loaded_policy,
            profile=choice,
            url=pattern,
            generalise=generalise,
            progress=progress,
        )
        written = write_scenario(
            distilled.with_title(file.stem),
            out or file.with_suffix(".yaml"),
            **options,
        )
    if written.difference:
        click.echo(written.difference)
    click.echo(written.path)
    for line in (*distilled.summary.lines(), *written.notes):
        click.echo(line, err=True)


def _pattern(url: str | None) -> re.Pattern[str] | None:
    try:
        return None if url is None else re.compile(url)
    except re.error as error:
        raise OptionInvalid("--url", repr(url), "a regular expression", str(error)) from None


@contextmanager
def _journal_path(kept: Path | None) -> Iterator[Path]:
    """Return the path of the journal; without `kept`, a temporary file that is deleted with its key."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="cometreel-import-") as folder:
        yield Path(folder, "import.jsonl")
