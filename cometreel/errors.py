"""The errors of Cometreel.

CometreelError
├── InputError            an invalid input; exit code 2
│   ├── FileInvalid       an invalid scenario, policy, profile or journal, with every problem and its line
│   └── OptionInvalid     an invalid option, argument or environment variable
├── ExtraMissing          an optional dependency isn't installed; exit code 2
├── PeerError             the other client or server violated the protocol
└── BugError              a bug in Cometreel; please report it

Each has its details as attributes. Each text contains the position, the value found, the expected value and a hint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "NEWER_VERSION",
    "BugError",
    "CometreelError",
    "ExtraMissing",
    "FileInvalid",
    "InputError",
    "OptionInvalid",
    "PeerError",
    "Problem",
]


NEWER_VERSION = "a newer version of Cometreel wrote this file; try: pip install --upgrade cometreel"
"""The hint for a file whose format version is higher than that of this version."""


class CometreelError(Exception):
    """The base class of all errors. All of them can be pickled and copied."""

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the text and the attributes, and don't call `__init__`, whose arguments are not kept."""
        return _restored, (type(self), self.args, vars(self))


def _restored(kind: type[CometreelError], args: tuple[object, ...], attributes: dict[str, object]) -> CometreelError:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error


class InputError(CometreelError):
    """An invalid input. The command line ends with exit code 2."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a file. Lines and columns count from 1; 0 means the file as a whole."""

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
    """An invalid file, with all its problems in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class OptionInvalid(InputError):
    """An invalid option, argument or environment variable."""

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
    """The other client or server violated the protocol."""


class BugError(CometreelError):
    """A bug in Cometreel: a state that should be impossible."""
