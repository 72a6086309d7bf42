"""`cometreel lint`: checks scenarios for likely mistakes; writes fixed copies and prints the issues."""

from __future__ import annotations

from pathlib import Path

import click

from cometreel.cli.exit_codes import ExitCode
from cometreel.cli.progress import show_progress
from cometreel.lint import FORMATS, fixed, report, rules_not_run
from cometreel.lint import lint as lint_scenario
from cometreel.recording import write_scenario

__all__ = ["lint"]


@click.command()
@click.argument("scenarios", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="SCENARIO...")
@click.option("--fix", is_flag=True, help="Write safe fixes to NAME.new.yaml next to each file.")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), default="text", help="Output format; default text.")
def lint(scenarios: tuple[Path, ...], *, fix: bool, form: str) -> int:
    """Check scenarios for likely mistakes.

    Each SCENARIO is a file or a folder. Exit codes: 0 no issues, or only notes; 1 issues were found; 2 could not run.

    \b
    Example:
      cometreel lint scenarios/ recordings/desktop.yaml
      cometreel lint --format sarif scenarios/ > lint.sarif
      cometreel lint --fix recordings/desktop.yaml
    """
    with show_progress("checking"):
        issues = [issue for path in scenarios for issue in lint_scenario(path)]
    text = report(issues, form, rules_not_run())
    if text:
        click.echo(text)
    if fix:
        for path, file in fixed(issues):
            written = write_scenario(file, path, inline_limit=0)
            for line in (f"fixed in {written.path}", *written.notes):
                click.echo(line, err=True)
    return ExitCode.CHECK_FAILED if any(issue.level != "note" for issue in issues) else ExitCode.SUCCESS
