"""`cometreel distill`: creates a scenario from a journal and prints the skipped messages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from cometreel.cli.progress import show_progress
from cometreel.errors import OptionInvalid
from cometreel.recording import INLINE_LIMIT, key_path, load_policy, scenario_path, write_scenario
from cometreel.recording import distill as distill_journal
from cometreel.scenario import chosen_profile

__all__ = ["distill", "scenario_options"]

Command = TypeVar("Command", bound=Callable[..., object])


def scenario_options(command: Command) -> Command:
    """Add the options of the scenario that is written: `--generalise`, `--inline-limit` and `--force`."""
    for option in (
        click.option("--force", is_flag=True, help="Overwrite an existing scenario."),
        click.option(
            "--inline-limit",
            type=click.IntRange(min=0),
            default=INLINE_LIMIT,
            metavar="BYTES",
            show_default=True,
            help="Write larger bodies and data to files in a folder next to the scenario; 0 for none.",
        ),
        click.option("--generalise", is_flag=True, help="Replace the requesting user's own id and name by templates."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Output file; default NAME.yaml next to JOURNAL.")
@click.option("--policy", help="Redact again: default, strict or a policy file. Needs the journal's key.")
@click.option("--profile", help="Correlate with another profile: detect, gws-v2, workspace-v3 or a file.")
@scenario_options
def distill(
    journal: Path,
    out: Path | None,
    policy: str | None,
    profile: str | None,
    *,
    generalise: bool,
    inline_limit: int,
    force: bool,
) -> None:
    """Create a scenario from a journal.

    Messages that can't be expressed in a scenario are skipped and reported. An incomplete journal is used up to its
    last whole event. An existing scenario is not overwritten: the new one is written to NAME.new.yaml, and the
    difference is printed.

    \b
    Example:
      cometreel distill recordings/2026-11-23T10-00-00.jsonl
    """
    with show_progress(f"distilling {journal.name}"):
        distilled = distill_journal(
            journal,
            policy=load_policy(policy) if policy else None,
            profile=chosen_profile(profile, "--profile") if profile else None,
            generalise=generalise,
        )
    written = write_scenario(distilled, _output_path(journal, out), force=force, inline_limit=inline_limit)
    if written.difference:
        click.echo(written.difference)
    click.echo(written.path)
    for line in (*distilled.summary.lines(), *written.notes):
        click.echo(line, err=True)


def _output_path(journal: Path, out: Path | None) -> Path:
    """Return the file to write.

    :raises OptionInvalid: if it is the journal or its key.
    """
    target = out or scenario_path(journal)
    for source, description in ((journal, "the journal itself"), (key_path(journal), "the journal's key")):
        if target.exists() and source.exists() and target.samefile(source):
            raise OptionInvalid("--out", f"{target} is {description}", "another file", "try -o NAME.yaml")
    return target
