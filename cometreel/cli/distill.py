"""`cometreel distill`: a scenario from a journal, and what was left out. Parses and prints; it decides nothing."""

from __future__ import annotations

from pathlib import Path

import click

from cometreel.cli.progress import show_progress
from cometreel.errors import OptionInvalid
from cometreel.recording import distill as distill_journal
from cometreel.recording import key_path, load_policy, scenario_path, write_scenario
from cometreel.scenario import CorrelationBlock, Profile, profile_names, read_profile
from cometreel.scenario import profile as shipped_profile

__all__ = ["distill"]


@click.command()
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Where to write; NAME.yaml beside the journal.")
@click.option("--policy", help="Redact once more: default, strict or a policy file. Needs the journal's key.")
@click.option("--profile", help="Correlate by another profile than the journal's: gws-v2, workspace-v3, or a file.")
@click.option("--generalise", is_flag=True, help="Make the asking user's own id and name templates.")
@click.option("--force", is_flag=True, help="Write over a scenario that is there already.")
def distill(
    journal: Path, out: Path | None, policy: str | None, profile: str | None, *, generalise: bool, force: bool
) -> None:
    """Build a scenario from JOURNAL, also from a torn one, and say what was left out.

    A scenario that is there already stays: the new one is written as NAME.new.yaml and the difference is shown.

    \b
    Example:
      cometreel distill recordings/2026-11-23T10-00-00.jsonl
    """
    with show_progress(f"distilling {journal.name}"):
        made = distill_journal(
            journal,
            policy=load_policy(policy) if policy else None,
            profile=_profile(profile) if profile else None,
            generalise=generalise,
        )
    written = write_scenario(made.file, _target(journal, out), force=force)
    if written.difference:
        click.echo(written.difference)
    click.echo(written.path)
    for line in made.summary.lines():
        click.echo(line, err=True)


def _target(journal: Path, out: Path | None) -> Path:
    """Name the file to write, which may be neither the recording nor its key."""
    target = out or scenario_path(journal)
    for source, what in ((journal, "the journal itself"), (key_path(journal), "the journal's key")):
        if target.exists() and source.exists() and target.samefile(source):
            raise OptionInvalid("--out", f"{target} is {what}", "another file", "try -o NAME.yaml")
    return target


def _profile(choice: str) -> Profile | CorrelationBlock:
    known = profile_names()
    if choice in known:
        return shipped_profile(choice)
    if not Path(choice).exists():
        raise OptionInvalid("--profile", repr(choice), f"{', '.join(known)}, or a YAML file with a profile")
    return read_profile(Path(choice))
