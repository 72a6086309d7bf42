"""Formats issues as text, JSON, or SARIF 2.1.0 (OASIS, March 2020)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import TypeAlias

from cometreel import __version__
from cometreel.jsonvalue import JSON
from cometreel.lint.issues import RULES, Issue

__all__ = ["FORMATS", "report"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_NAMES = list(RULES)


NotRun: TypeAlias = Mapping[str, str]
"""Rules that did not run, each with its reason."""


def report(issues: Sequence[Issue], form: str, not_run: NotRun = MappingProxyType({})) -> str:
    """Format the issues in one of `FORMATS`, without a newline at the end; the text of no issues is empty.

    `not_run` are the rules that did not run, with the reason of each; they come last.
    """
    return FORMATS[form](issues, not_run)


def _text(issues: Sequence[Issue], not_run: NotRun) -> str:
    lines = [f"{_where(issue)}: {issue.level} {issue.rule.id}: {issue.message}" for issue in issues]
    return "\n".join([*lines, *(_not_run(rule, reason) for rule, reason in not_run.items())])


def _not_run(rule: str, reason: str) -> str:
    return f"rule {rule} did not run; {reason}"


def _where(issue: Issue) -> str:
    return f"{issue.file}:{issue.line}:{issue.column}" if issue.line else issue.file


def _json(issues: Sequence[Issue], not_run: NotRun) -> str:
    found: list[JSON] = [
        {
            "file": issue.file,
            "line": issue.line,
            "column": issue.column,
            "level": issue.level,
            "rule": issue.rule.id,
            "found": issue.found,
            "expected": issue.expected,
            "hint": issue.hint,
            "fixable": issue.fix is not None,
        }
        for issue in issues
    ]
    found += [
        {
            "file": "",
            "line": 0,
            "column": 0,
            "level": "note",
            "rule": rule,
            "found": "this rule did not run",
            "expected": "",
            "hint": reason,
            "fixable": False,
        }
        for rule, reason in not_run.items()
    ]
    return json.dumps(found, indent=2, ensure_ascii=False)


def _sarif(issues: Sequence[Issue], not_run: NotRun) -> str:
    rules: list[JSON] = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.description},
            "help": {"text": f"See {rule.help}"},
            "defaultConfiguration": {"level": rule.level},
        }
        for rule in RULES.values()
    ]
    driver: JSON = {"name": "cometreel lint", "semanticVersion": __version__, "rules": rules}
    run: dict[str, JSON] = {"tool": {"driver": driver}, "results": [_result(issue) for issue in issues]}
    if not_run:
        run["invocations"] = [_invocation(not_run)]
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _invocation(not_run: NotRun) -> JSON:
    """Name the rules that did not run (§3.20.22)."""
    notifications: list[JSON] = [
        {
            "level": "note",
            "message": {"text": _not_run(rule, reason)},
            "associatedRule": {"id": rule, "index": _NAMES.index(rule)},
        }
        for rule, reason in not_run.items()
    ]
    return {"executionSuccessful": True, "toolConfigurationNotifications": notifications}


def _result(issue: Issue) -> JSON:
    place: dict[str, JSON] = {"artifactLocation": {"uri": _uri(issue.file)}}
    if issue.line:
        place["region"] = {"startLine": issue.line, "startColumn": issue.column}
    return {
        "ruleId": issue.rule.id,
        "ruleIndex": _NAMES.index(issue.rule.id),
        "level": issue.level,
        "message": {"text": issue.message},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """Return the file as a URI (§3.4.3); a relative one stays relative, so that code scanning finds it."""
    path = PurePath(file)
    return path.as_uri() if path.is_absolute() else path.as_posix().replace("%", "%25").replace(" ", "%20")


FORMATS: Mapping[str, Callable[[Sequence[Issue], NotRun], str]] = {"text": _text, "json": _json, "sarif": _sarif}
