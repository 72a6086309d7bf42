"""Linting: what loads and yet isn't what its author meant, or what shouldn't be given away.

Reads scenarios (and the journal beside one, if there is one), plays nothing and changes nothing; a fix is a new file.
One module for each rule. A rule that can't be sure says nothing, or says it as a note.
"""

from __future__ import annotations

from cometreel.lint.fixing import fixed
from cometreel.lint.issues import RULES, Issue, Level, LintRule
from cometreel.lint.linting import lint, rules_not_run
from cometreel.lint.reports import FORMATS, report

__all__ = ["FORMATS", "RULES", "Issue", "Level", "LintRule", "fixed", "lint", "report", "rules_not_run"]
