"""Every error that a user of Cometreel can meet, and how it reads.

CometreelError
├── InputError            something we were given can't be used; exit code 2
│   ├── FileInvalid       a scenario, policy, profile or journal, with every problem at its line
│   └── OptionInvalid     an option, an argument, an environment
├── ExtraMissing          an optional dependency isn't installed; exit code 2
├── PeerError             a client or a server at the other end broke its protocol
└── BugError              Cometreel itself is wrong; please report it

Each carries its facts as attributes. Each sentence says where, what was found, what was expected and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "BugError",
    "CometreelError",
    "ExtraMissing",
    "FileInvalid",
    "InputError",
    "OptionInvalid",
    "PeerError",
    "Problem",
]


class CometreelError(Exception):
    """The base of everything that Cometreel raises on purpose."""


class InputError(CometreelError):
    """Something that the user gave can't be used. The command line ends with exit code 2."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file. Lines and columns count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    found: str
    expected: str = ""
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        sentence = f"{where}: {self.found}"
        if self.expected:
            sentence += f"; expected {self.expected}"
        if self.hint:
            sentence += f" ({self.hint})" if self.expected else f"; {self.hint}"
        return sentence


class FileInvalid(InputError):
    """A file that can't be used, with all its problems at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class OptionInvalid(InputError):
    """An option, argument or environment that can't be used."""

    def __init__(self, option: str, found: str, expected: str, hint: str = "") -> None:
        self.option, self.found, self.expected, self.hint = option, found, expected, hint
        sentence = f"{option}: {found}; expected {expected}"
        super().__init__(f"{sentence} ({hint})" if hint else sentence)


class ExtraMissing(CometreelError):
    """An optional dependency isn't installed. `distributions` are the missing ones, `command` installs them."""

    def __init__(self, extra: str, feature: str, distributions: Sequence[str], command: str) -> None:
        self.extra, self.feature, self.command = extra, feature, command
        self.distributions = tuple(distributions)
        pronoun = "it" if len(self.distributions) == 1 else "them"
        super().__init__(f"{feature} needs {' and '.join(self.distributions)}; install {pronoun}: {command}")


class PeerError(CometreelError):
    """The client or the server at the other end broke its protocol."""


class BugError(CometreelError):
    """A state that Cometreel's own code should have made impossible."""
