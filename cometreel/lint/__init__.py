"""Checks scenarios for likely mistakes and secrets.

Reads scenarios, and the journal next to a scenario if there is one; a fix is written to a new file. Each rule is a
module. Uncertain findings are left out or reported as a note.
"""

from __future__ import annotations

from cometreel.lint.fixes import fixed
from cometreel.lint.issues import RULES, Issue, Level, LintRule
from cometreel.lint.linter import lint, rules_not_run
from cometreel.lint.report_formats import FORMATS, report

__all__ = ["FORMATS", "RULES", "Issue", "Level", "LintRule", "fixed", "lint", "report", "rules_not_run"]
