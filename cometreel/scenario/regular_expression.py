"""Regular expressions that are searched in limited time.

Syntax and results are those of Python's `re.search`, without the constructs that need backtracking: lookaround,
backreferences, conditions, atomic groups and possessive repeats.

Python's engine tries one alternative after the other, which can take exponential time: `(a+)+$` and 41 characters stop
a server. It is used only if an upper bound of its steps is low. Otherwise all alternatives are followed at once, in the
order of their priority (R. Cox, Regular Expression Matching: the Virtual Machine Approach), which takes linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import inf, log
from re import _compiler, _parser  # type: ignore[attr-defined]  # not in the types: the parser and the compiler of `re`
from typing import Any, Final, TypeAlias

__all__ = ["ExpressionInvalid", "RegularExpression", "TextTooLong", "regular_expression"]

_MOST_STATES = 5_000
_MOST_BACKTRACKS = log(2_000_000)  # about 20 ms
_MOST_STEPS = 250_000  # about 0.2 s
_DEEPEST = 100

_UNSUPPORTED: Final = {
    "ASSERT": "lookaround, as `(?=…)` or `(?<=…)`",
    "ASSERT_NOT": "negative lookaround, as `(?!…)` or `(?<!…)`",
    "GROUPREF": "a backreference, as `\\1` or `(?P=name)`",
    "GROUPREF_EXISTS": "a condition, as `(?(1)…|…)`",
    "ATOMIC_GROUP": "an atomic group, as `(?>…)`",
    "POSSESSIVE_REPEAT": "a possessive repeat, as `a++`",
}
_TYPE_FLAGS: Final = re.ASCII | re.LOCALE | re.UNICODE

Argument: TypeAlias = Any
"""The argument of an operation: the parser of `re` has no types."""
Node: TypeAlias = "tuple[object, Argument]"
"""An operation of the parser, and its argument."""
Captures: TypeAlias = "tuple[int, ...]"
"""The start and the end of each named group; -1 where there is none."""


class ExpressionInvalid(ValueError):
    """An expression that is no regular expression, or that can't be searched in limited time."""

    def __init__(self, found: str, expected: str) -> None:
        self.expected = expected
        super().__init__(found)


class TextTooLong(ValueError):
    """The search in a text would take too long."""


@dataclass(frozen=True, slots=True)
class _Character:
    """Reads one character that a test allows."""

    allows: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class _Split:
    """Continues at both instructions; the first one takes precedence."""

    first: int
    second: int


@dataclass(frozen=True, slots=True)
class _Save:
    """Stores the position in a slot of the captures."""

    slot: int


@dataclass(frozen=True, slots=True)
class _Assert:
    """Continues if a position, such as the end of the text, is reached."""

    holds: Callable[[str, int], bool]


_Instruction: TypeAlias = _Character | _Split | _Save | _Assert | None
"""None is a match."""


class RegularExpression:
    """A compiled expression.

    :raises ExpressionInvalid: if it is invalid, has an unsupported construct, or is too large.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        try:
            self._fast = re.compile(pattern)
            tree = _parser.parse(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ExpressionInvalid(f"is invalid: {error}", "the syntax of Python's `re`") from None
        self.names = tuple(self._fast.groupindex)
        _check(tree.data)
        self._size = _size(tree.data)
        if self._size > _MOST_STATES:
            raise ExpressionInvalid(
                f"is too large: {self._size} states with its repeats written out", f"at most {_MOST_STATES}"
            )
        logarithm, self._degree = _choices(tree.data)
        self._cost = logarithm + log(self._size)
        if self.names and _repeats_nothing(tree.data):
            self._cost = inf  # the engines differ in the groups of repetitions that are empty
        self._flags = int(self._fast.flags)
        self._anchored = bool(tree.data) and _is_start(tree.data[0], self._flags)
        self._degree += not self._anchored
        self._tree = tree
        self._program: list[_Instruction] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return RegularExpression, (self.pattern,)

    def search(self, text: str) -> dict[str, str | None] | None:
        """Return the named groups of the first match; None if there is none.

        :raises TextTooLong: if the search would take too long.
        """
        if self._cost + self._degree * log(len(text) + 1) <= _MOST_BACKTRACKS:
            match = self._fast.search(text)
            return None if match is None else match.groupdict()
        return self.search_linear(text)

    def search_linear(self, text: str) -> dict[str, str | None] | None:
        """Return the same as `search`, always in linear time."""
        if self._program is None:
            self._program = _compiled(self._tree.data, self._flags, self._fast.groupindex.values())
        captures = _Search(self._program, text, 2 * len(self.names)).run(anchored=self._anchored)
        if captures is None:
            return None
        spans = ((captures[2 * slot], captures[2 * slot + 1]) for slot in range(len(self.names)))
        return {
            name: text[start:end] if end >= 0 else None for name, (start, end) in zip(self.names, spans, strict=True)
        }


@lru_cache(maxsize=4096)
def regular_expression(pattern: str) -> RegularExpression:
    """Return a compiled expression.

    :raises ExpressionInvalid: as above.
    """
    return RegularExpression(pattern)


# ---------------------------------------------------------------------- checks and estimates
def _check(nodes: Iterable[Node], depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ExpressionInvalid("has deeply nested groups", f"at most {_DEEPEST} levels")
    for operation, argument in nodes:
        if str(operation) in _UNSUPPORTED:
            raise ExpressionInvalid(
                f"has {_UNSUPPORTED[str(operation)]}", "an expression without it, which can be searched in limited time"
            )
        for part in _parts(operation, argument):
            _check(part, depth + 1)


def _parts(operation: object, argument: Argument) -> list[list[Node]]:
    """Return the sequences inside a node."""
    if operation is _parser.BRANCH:
        return [branch.data for branch in argument[1]]
    if operation is _parser.SUBPATTERN:
        return [argument[-1].data]
    if operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
        return [argument[2].data]
    return []


def _repeat(argument: Argument) -> tuple[int, int | None]:
    """Return the minimum and the maximum of a repeat; None for any number."""
    low, high, _ = argument
    return int(low), None if high is _parser.MAXREPEAT else int(high)


def _size(nodes: Iterable[Node]) -> int:
    """Return the number of instructions, with repeats written out."""
    total = 1
    for operation, argument in nodes:
        inner = sum(_size(part) + 2 for part in _parts(operation, argument)) or 1
        if operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
            low, high = _repeat(argument)
            inner *= max(low + 1 if high is None else high, 1)
        total += inner
    return total


def _choices(nodes: Iterable[Node]) -> tuple[float, int]:
    """Return logarithm and degree: backtracking in n characters has at most exp(logarithm) * (n+1)**degree choices."""
    logarithm, degree = 0.0, 0
    for operation, argument in nodes:
        parts = [_choices(part) for part in _parts(operation, argument)]
        inner = max((one for one, _ in parts), default=0.0) + log(max(len(parts), 1))
        exponent = max((one for _, one in parts), default=0)
        if operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
            low, high = _repeat(argument)
            if low == high:
                inner, exponent = inner * low, exponent * low
            elif high != 1 and (inner, exponent) != (0.0, 0):
                inner = inf  # a repeat of choices: exponential
            elif high is None:
                exponent += 1
            else:
                inner += log(high - low + 1)
        logarithm, degree = logarithm + inner, degree + exponent
    return logarithm, degree


def _repeats_nothing(nodes: Iterable[Node]) -> bool:
    """Tell whether a repeat may repeat an empty text."""
    for operation, argument in nodes:
        if operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT) and argument[2].getwidth()[0] == 0:
            return True
        if any(map(_repeats_nothing, _parts(operation, argument))):
            return True
    return False


def _is_start(node: Node, flags: int) -> bool:
    operation, argument = node
    is_beginning = argument is _parser.AT_BEGINNING and not flags & re.MULTILINE
    return operation is _parser.AT and (is_beginning or argument is _parser.AT_BEGINNING_STRING)


# ---------------------------------------------------------------------- the linear search
class _ProgramBuilder:
    """Translates the tree of the parser into instructions."""

    def __init__(self, slots: dict[int, int]) -> None:
        self.program: list[_Instruction] = []
        self._slots = slots

    def sequence(self, nodes: Iterable[Node], flags: int) -> None:
        """Add the instructions of a sequence."""
        for operation, argument in nodes:
            if operation is _parser.SUBPATTERN:
                self._group(argument, flags)
            elif operation is _parser.BRANCH:
                self._branch(_parts(operation, argument), flags)
            elif operation in (_parser.MAX_REPEAT, _parser.MIN_REPEAT):
                self._repeat(operation is _parser.MAX_REPEAT, argument, flags)
            elif operation is _parser.AT:
                self.program.append(_Assert(_position_test((operation, argument), flags)))
            else:
                self.program.append(_Character(_character_test((operation, argument), flags)))

    def _group(self, argument: Argument, flags: int) -> None:
        group, added, removed, inner = argument
        if added & _TYPE_FLAGS:
            flags &= ~_TYPE_FLAGS
        flags = (flags | added) & ~removed
        slot = self._slots.get(group)
        if slot is not None:
            self.program.append(_Save(slot))
        self.sequence(inner.data, flags)
        if slot is not None:
            self.program.append(_Save(slot + 1))

    def _branch(self, branches: list[list[Node]], flags: int) -> None:
        ends = []
        for branch in branches[:-1]:
            split = self._reserve()
            self.sequence(branch, flags)
            ends.append(self._reserve())
            self.program[split] = _Split(split + 1, len(self.program))
        self.sequence(branches[-1], flags)
        for end in ends:
            self.program[end] = _Split(len(self.program), len(self.program))

    def _repeat(self, greedy: bool, argument: Argument, flags: int) -> None:
        low, high = _repeat(argument)
        inner = argument[2].data
        for _ in range(low):
            self.sequence(inner, flags)
        if high is None:
            start = self._reserve()
            self.sequence(inner, flags)
            end = self._reserve()
            self.program[end] = _Split(start, end + 1)  # `start` was reached before if this repetition is empty
            self._choose(start, greedy)
            return
        starts = []
        for _ in range(high - low):
            starts.append(self._reserve())
            self.sequence(inner, flags)
        for start in starts:
            self._choose(start, greedy)

    def _choose(self, start: int, greedy: bool) -> None:
        """Let the instruction continue after itself or at the end of the program, by precedence."""
        inside, after = start + 1, len(self.program)
        self.program[start] = _Split(inside, after) if greedy else _Split(after, inside)

    def _reserve(self) -> int:
        self.program.append(None)
        return len(self.program) - 1


def _compiled(nodes: Iterable[Node], flags: int, groups: Iterable[int]) -> list[_Instruction]:
    """Translate a sequence into a program; `groups` are the numbers of the named groups."""
    builder = _ProgramBuilder({number: 2 * slot for slot, number in enumerate(groups)})
    builder.sequence(nodes, flags)
    return [*builder.program, None]


def _single(node: Node, flags: int) -> re.Pattern[str]:
    """Return the expression of one node, compiled by `re` itself, so that cases, classes and positions are the same."""
    state = _parser.State()
    state.flags = flags
    expression: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, [node]), flags)
    return expression


def _character_test(node: Node, flags: int) -> Callable[[str], bool]:
    match = _single(node, flags).match
    return lru_cache(maxsize=1024)(lambda character: match(character) is not None)


def _position_test(node: Node, flags: int) -> Callable[[str, int], bool]:
    match = _single(node, flags).match
    return lambda text, at: match(text, at) is not None


class _Search:
    """One search: follows all alternatives at once, character by character."""

    def __init__(self, program: list[_Instruction], text: str, slots: int) -> None:
        self._program, self._text = program, text
        self._none: Captures = (-1,) * slots
        self._steps = 0

    def run(self, *, anchored: bool) -> Captures | None:
        """Return the captures of the first match.

        :raises TextTooLong: after too many steps.
        """
        program, text = self._program, self._text
        found: Captures | None = None
        active: list[tuple[int, Captures]] = []
        reached: set[int] = set()
        for at in range(len(text) + 1):
            if found is None and (at == 0 or not anchored):
                active.extend(self._reachable(0, at, self._none, reached))
            following: list[tuple[int, Captures]] = []
            reached = set()
            character = text[at : at + 1]
            for place, captures in active:
                instruction = program[place]
                if instruction is None:
                    found = captures
                    break  # the others have a lower precedence
                if isinstance(instruction, _Character) and character and instruction.allows(character):
                    following.extend(self._reachable(place + 1, at + 1, captures, reached))
            active = following
            if not active and (found is not None or anchored):
                break
        return found

    def _reachable(self, start: int, at: int, captures: Captures, reached: set[int]) -> Iterator[tuple[int, Captures]]:
        """Yield the instructions that read a character or match, by precedence, each once for a position."""
        stack = [(start, captures)]
        while stack:
            place, captures = stack.pop()
            if place in reached:
                continue
            reached.add(place)
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise TextTooLong
            instruction = self._program[place]
            if isinstance(instruction, _Split):
                stack += [(instruction.second, captures), (instruction.first, captures)]
            elif isinstance(instruction, _Save):
                slot = instruction.slot
                stack.append((place + 1, (*captures[:slot], at, *captures[slot + 1 :])))
            elif isinstance(instruction, _Assert):
                if instruction.holds(self._text, at):
                    stack.append((place + 1, captures))
            else:
                yield place, captures
