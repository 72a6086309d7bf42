"""`cometreel import`: a scenario from what another program wrote down. Parses, prints, and shows how far it is."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import DownloadColumn

from cometreel.cli.progress import progress_bar
from cometreel.errors import OptionInvalid
from cometreel.recording import load_policy, write_scenario
from cometreel.scenario import profile as shipped_profile
from cometreel.scenario import profile_names
from cometreel.traffic.import_traffic import import_traffic

__all__ = ["import_"]


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write; NAME.yaml beside the file.")
@click.option("--url", help="Which calls to keep besides CometD: a regular expression found in their URLs.")
@click.option("--journal", type=click.Path(path_type=Path), help="Keep the journal too, as a new file.")
@click.option("--policy", default="default", help="What is replaced: default, strict or a policy file.")
@click.option("--profile", default="gws-v2", help="How notifications find their call: gws-v2, workspace-v3.")
@click.option("--generalise", is_flag=True, help="Make the asking user's own id and name templates.")
@click.option("--force", is_flag=True, help="Write over a scenario that is there already.")
def import_(
    file: Path,
    out: Path | None,
    url: str | None,
    journal: Path | None,
    policy: str,
    profile: str,
    *,
    generalise: bool,
    force: bool,
) -> None:
    """Build a scenario from FILE: a HAR file of a browser, or a flow file of mitmproxy.

    It goes the way of a recording: secrets are replaced before anything is written. FILE itself is never changed.

    \b
    Example:
      cometreel import desktop.har --url /api/v2/
      cometreel import flows.mitm -o recordings/desktop.yaml --journal recordings/desktop.jsonl
    """
    if profile not in profile_names():
        raise OptionInvalid("--profile", repr(profile), " or ".join(profile_names()))
    chosen, pattern = load_policy(policy), _pattern(url)
    with _journal(journal) as path, _progress(file) as progress:
        made = import_traffic(
            file,
            path,
            policy=chosen,
            profile=shipped_profile(profile),
            url=pattern,
            generalise=generalise,
            progress=progress,
        )
        written = write_scenario(
            made.file.model_copy(update={"title": file.stem}), out or file.with_suffix(".yaml"), force=force
        )
    if written.difference:
        click.echo(written.difference)
    click.echo(written.path)
    for line in made.summary.lines():
        click.echo(line, err=True)


def _pattern(url: str | None) -> re.Pattern[str] | None:
    try:
        return None if url is None else re.compile(url)
    except re.error as error:
        raise OptionInvalid("--url", repr(url), "a regular expression", str(error)) from None


@contextmanager
def _journal(kept: Path | None) -> Iterator[Path]:
    """Name the journal: the one that is kept, else one that is gone afterwards, and its key with it."""
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="cometreel-import-") as folder:
        yield Path(folder, "import.jsonl")


@contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of a file has been read, on a terminal only."""
    size = file.stat().st_size if file.is_file() else 0
    with progress_bar(DownloadColumn()) as bar:
        task = bar.add_task("reading", total=size)

        def show(done: int) -> None:
            bar.update(task, completed=done, description="reading" if done < size else "distilling")

        yield show
