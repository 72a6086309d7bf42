"""Formats issues as text, JSON, or SARIF 2.1.0 (OASIS, March 2020)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from cometreel import __version__
from cometreel.jsonvalue import JSON
from cometreel.lint.issues import RULES, Issue

__all__ = ["FORMATS", "report"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_NAMES = list(RULES)


def report(issues: Sequence[Issue], form: str) -> str:
    """Format the issues in one of `FORMATS`, without a newline at the end; the text of no issues is empty."""
    return FORMATS[form](issues)


def _text(issues: Sequence[Issue]) -> str:
    return "\n".join(f"{_where(issue)}: {issue.level} {issue.rule.id}: {issue.message}" for issue in issues)


def _where(issue: Issue) -> str:
    return f"{issue.file}:{issue.line}:{issue.column}" if issue.line else issue.file


def _json(issues: Sequence[Issue]) -> str:
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
    return json.dumps(found, indent=2, ensure_ascii=False)


def _sarif(issues: Sequence[Issue]) -> str:
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
    run: JSON = {"tool": {"driver": driver}, "results": [_result(issue) for issue in issues]}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


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


FORMATS: Mapping[str, Callable[[Sequence[Issue]], str]] = {"text": _text, "json": _json, "sarif": _sarif}
