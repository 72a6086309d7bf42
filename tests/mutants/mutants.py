"""The planted faults of `make mutants`: reads the YAML files and applies one mutant to the source of its module."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

FOLDER = Path(__file__).parent
PRODUCT = FOLDER.parents[1] / "cometreel"
PACKAGES = ("bayeux", "engine", "recording", "scenario", "load", "verify")
REQUIRED = {"function", "find", "replace", "fault"}
OPTIONAL = {"nth", "survives"}

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class MutantInvalid(Exception):
    """A mutant can't be read, found or applied; the text begins with the file and line of its entry."""


@dataclass(frozen=True)
class Mutant:
    """One fault in one function."""

    place: str
    """The file and line of the entry, such as `bayeux.yaml:12`."""
    module: str
    """The path of the module below `cometreel/`."""
    name: str
    """The qualified name of the function or class; empty for the whole module."""
    find: str
    replace: str
    fault: str
    nth: int | None = None
    """The number of the occurrence that is replaced, from 1; None if there must be only one."""
    survives: str = ""
    """The reason why no test can notice this fault."""

    @property
    def package(self) -> str:
        """The name of the YAML file."""
        return self.place.partition(".")[0]

    def applied(self, source: str) -> str:
        """Return the source of the module with this fault.

        :raises MutantInvalid: if the fragment is not found exactly once, or if the result is no changed Python module.
        """
        start, end = self._span(source)
        offsets = list(_occurrences(source, self.find, start, end))
        if self.nth is None and len(offsets) != 1:
            raise self._invalid(f"the fragment occurs {len(offsets)} times in {self.where}; change it or add `nth`")
        number = self.nth or 1
        if not 1 <= number <= len(offsets):
            raise self._invalid(f"nth is {number}, but the fragment occurs {len(offsets)} times in {self.where}")
        at = offsets[number - 1]
        mutated = source[start:at] + self.replace + source[at + len(self.find) : end]
        try:
            changed = _dump(mutated)
        except SyntaxError as error:
            raise self._invalid(f"the mutated module is not valid Python: {error}") from None
        if changed == _dump(source[start:end]):
            raise self._invalid("the mutated module equals the original")
        return source[:start] + mutated + source[end:]

    @property
    def where(self) -> str:
        """The module and function."""
        return f"{self.module} {self.name}".rstrip()

    def _span(self, source: str) -> tuple[int, int]:
        """Return the offsets of the function in the source, with its decorators."""
        if not self.name:
            return 0, len(source)
        found = list(_definitions(_parsed(source), self.name.split(".")))
        if not found:
            raise self._invalid(f"cometreel/{self.module} has no {self.name}")
        lines = [0]
        for line in source.splitlines(keepends=True):
            lines.append(lines[-1] + len(line))
        first = min(node.lineno for each in found for node in (each, *each.decorator_list))
        last = max(each.end_lineno or 0 for each in found)
        return lines[first - 1], lines[last]

    def _invalid(self, problem: str) -> MutantInvalid:
        return MutantInvalid(f"tests/mutants/{self.place}: {problem}")


def read_mutants(package: str, folder: Path = FOLDER) -> list[Mutant]:
    """Return the mutants of a package, in the order of its file.

    :raises MutantInvalid: if an entry has unknown or missing keys.
    """
    path = folder / f"{package}.yaml"
    node = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.SequenceNode):
        raise MutantInvalid(f"tests/mutants/{path.name}:1: expected a list of mutants")
    return [_read(entry, f"{path.name}:{entry.start_mark.line + 1}") for entry in node.value]


def _read(entry: yaml.Node, place: str) -> Mutant:
    if not isinstance(entry, yaml.MappingNode):
        raise MutantInvalid(f"tests/mutants/{place}: expected a mapping with {', '.join(sorted(REQUIRED))}")
    values = {str(key.value): str(value.value) for key, value in entry.value}
    if missing := sorted(REQUIRED - set(values)):
        raise MutantInvalid(f"tests/mutants/{place}: {', '.join(missing)} missing")
    if unknown := sorted(set(values) - REQUIRED - OPTIONAL):
        raise MutantInvalid(f"tests/mutants/{place}: unknown: {', '.join(unknown)}")
    module, _, name = values.pop("function").partition(" ")
    nth = values.pop("nth", None)
    return Mutant(place, module, name.strip(), nth=None if nth is None else int(nth), **values)


@functools.lru_cache(maxsize=4)
def _parsed(source: str) -> ast.Module:
    """Return the syntax tree of a module; the mutants of a module follow each other."""
    return ast.parse(source)


def _dump(lines: str) -> str:
    """Return the syntax tree of a module or of one of its functions, which may be a method."""
    return ast.dump(ast.parse(f"class _:\n{lines}" if lines[:1].isspace() else lines))


def _definitions(node: ast.AST, names: list[str]) -> Iterator[Definition]:
    """Yield the definitions with this qualified name; a property and its setter are two."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition) and child.name == names[0]:
            if len(names) == 1:
                yield child
            else:
                yield from _definitions(child, names[1:])
        elif not isinstance(child, Definition):
            yield from _definitions(child, names)


def _occurrences(source: str, fragment: str, start: int, end: int) -> Iterator[int]:
    at = source.find(fragment, start, end)
    while at >= 0:
        yield at
        at = source.find(fragment, at + 1, end)
