"""Builds blocks from the arguments of Python calls, with the checks of the model. Errors name the call."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.jsonvalue import JSON
from cometreel.scenario.call_site import CallSite, call_site
from cometreel.scenario.yaml_reader import Document, FilePosition

from .data_files import DataFiles
from .findings import Finding, findings_of
from .model import NULLABLE, Block
from .python_values import ABSENT, Converted, converted

__all__ = ["DocumentOrigin", "arguments", "build", "invalid_call"]

_BuiltT = TypeVar("_BuiltT", bound=Block)
_FUNCTIONS = {
    "request": "get(…), post(…), request(…) or publish(…)",
    "reply": "reply(…)",
    "events": "event(…)",
    "when": "when(…)",
    "exchanges": "exchange(…)",
    "timeline": "timeline_entry(…)",
    "faults": "fault(…)",
    "roles": "role(…)",
    "bind": "bind(…)",
}
"""The functions that build the blocks of an argument."""
_WORD = re.compile(r"[$\w-]+")


@dataclass(frozen=True, slots=True)
class DocumentOrigin:
    """The place of a block in a document."""

    document: Document
    path: tuple[str | int, ...]

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        """Return the position of a part of the block, or of its key."""
        return self.document.position((*self.path, *path), key=key)


def build(kind: type[_BuiltT], values: Mapping[str, object], *, at: tuple[str | int, ...]) -> _BuiltT:
    """Build a block from the arguments of a call, by name; those that are None or ABSENT were left out.

    `at` is the path of the block in a scenario, which decides where data files may be.

    :raises FileInvalid: with all problems, at the position of the call.
    """
    site = call_site()
    data, files = arguments(site, values)
    document = _with_files(site, data, files, at) if files else None
    try:
        block = kind.model_validate(data)
    except ValidationError as error:
        names = {field.alias: name for name, field in kind.model_fields.items() if field.alias}
        findings = _renamed(findings_of(error), names)
        raise FileInvalid([_problem(site, finding, document, at) for finding in findings]) from None
    return block.place_at(site if document is None else DocumentOrigin(document, at))


def arguments(site: CallSite, values: Mapping[str, object]) -> tuple[dict[str, Converted], list[tuple[str | int, ...]]]:
    """Convert the arguments that were given; return them with the paths of the markers of data files.

    :raises FileInvalid: if one of them isn't JSON, a marker or a block.
    """
    given = {name: value for name, value in values.items() if value is not ABSENT}
    given = {name: value for name, value in given.items() if value is not None or name in NULLABLE}
    data, findings, files = converted(given)
    own = data.pop("custom", {})
    if isinstance(own, dict):
        findings += [
            Finding(("custom",), f"the key {key!r}", "a key that starts with x-") for key in own if key[:2] != "x-"
        ]
        data.update(own)
    if findings:
        raise invalid_call(site, findings)
    return data, files


def _with_files(
    site: CallSite, data: dict[str, Converted], files: Iterable[tuple[str | int, ...]], at: tuple[str | int, ...]
) -> Document:
    """Replace the markers of data files, whose folder is that of the Python file, by the contents of the files.

    :raises FileInvalid: if one of them can't be used.
    """
    document = Document(site.file, _nested(data, at), site.place, [(*at, *path) for path in files])
    problems = DataFiles(Path(site.file).parent).insert(document)
    if problems:
        raise FileInvalid(problems)
    return document


def _nested(data: dict[str, Converted], at: tuple[str | int, ...]) -> JSON:
    value: object = data
    for step in reversed(at):
        value = [value] if isinstance(step, int) else {step: value}
    return value  # type: ignore[return-value]  # a block is JSON, except for the blocks in it, which have no files


def _renamed(findings: Iterable[Finding], names: Mapping[str, str]) -> list[Finding]:
    """Return findings with the names of the arguments: `as_` instead of the key `as`."""
    return [
        Finding((names.get(str(each.path[0]), each.path[0]), *each.path[1:]), each.found, each.expected, each.hint)
        if each.path and not each.at_key
        else each
        for each in findings
    ]


def invalid_call(site: CallSite, findings: Iterable[Finding]) -> FileInvalid:
    """Return the error for the arguments of a call; each problem begins with the path of the value."""
    return FileInvalid([_problem(site, finding) for finding in findings])


def _problem(
    site: CallSite, finding: Finding, document: Document | None = None, at: tuple[str | int, ...] = ()
) -> Problem:
    if document is not None:
        position = document.position((*at, *finding.path), key=finding.at_key)
        if position[0] != site.file:  # in a data file
            return Problem(*position, finding.found, finding.expected, finding.hint)
    expected = finding.expected
    if expected == "a mapping":
        functions = (_FUNCTIONS[step] for step in reversed(finding.path) if step in _FUNCTIONS)
        expected = next(functions, expected)
    where = _written(finding.path[:-1] if finding.at_key else finding.path)
    found = f"{where}: {finding.found}" if where else finding.found
    return Problem(*site.position(()), found, expected, finding.hint)


def _written(path: Iterable[str | int]) -> str:
    """Return a path as in Python: `exchanges[0].request`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not step.startswith("("):  # a tag of pydantic's unions
            text += ("." if text else "") + step if _WORD.fullmatch(step) else f"[{step!r}]"
    return text
