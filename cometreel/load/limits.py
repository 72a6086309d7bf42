"""Limits such as `notification p99 < 800ms`, `lost == 0` or `error rate < 1%`: parsing and checking.

    limit     = latency | count
    latency   = ("ack" | "notification" | "lag") [entry] ("p" NUMBER | "mean" | "max") [actual] operator DURATION
    count     = what [entry] ["rate"] operator (NUMBER | NUMBER "%")
    entry     = "Agent" | "Place" | "AgentGroup" | "PlaceGroup" | "User"
    operator  = "<" | "<=" | ">" | ">=" | "==" | "!="

Latencies are measured from the intended start, or from the actual start with `actual`. Without an entry, a limit is
about all entries together. Percentages are of the requests sent. A limit on a latency without values fails.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from cometreel.errors import OptionInvalid
from cometreel.load.formatting import percent, seconds
from cometreel.load.latency import Latency
from cometreel.load.owner_kinds import OwnerKind
from cometreel.load.tally import COUNTED, Tally, count_of, count_sent
from cometreel.scenario.durations import parse_duration
from cometreel.scenario.findings import near

__all__ = ["Limit", "LimitResult", "check_limits", "parse_limit", "parse_limits"]

_OPTION = "--reel-limit"
_PHASES = ("ack", "notification", "lag")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_SPLIT = re.compile(r"^(.*?)\s*(<=|>=|==|!=|<|>)\s*(.*)$")
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
_LABELS = {kind.label: kind for kind in OwnerKind}
_EXAMPLES = "such as 'notification p99 < 800ms', 'ack Place p95 <= 1s', 'lost == 0' or 'error rate < 1%'"

Unit: TypeAlias = Literal["seconds", "count", "percent"]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: the measured value, its entry, and the condition."""

    text: str
    what: str
    """`ack`, `notification`, `lag`, or one of the counted words."""
    kind: OwnerKind | None
    percentile: float | None
    """The percentile of a latency; None for its mean, and for counts."""
    actual: bool
    comparison: str
    """The operator."""
    value: float
    """Seconds, a number, or a percentage."""
    unit: Unit

    def measured(self, tally: Tally) -> float | None:
        """Return the measured value in the unit of the limit; None if there are no values."""
        entry = self.kind.entry if self.kind else None
        if self.unit == "seconds":
            latency = _latency(tally, self.what, entry, actual=self.actual)
            if not latency.count:
                return None
            return latency.mean if self.percentile is None else latency.percentile(self.percentile)
        counted = count_of(tally, self.what, entry)
        if self.unit == "count":
            return counted
        sent = count_sent(tally, entry)
        return 100 * counted / sent if sent else None

    def check(self, tally: Tally) -> LimitResult:
        """Check the limit against the figures."""
        measured = self.measured(tally)
        passed = measured is not None and _OPERATORS[self.comparison](measured, self.value)
        return LimitResult(self, measured, passed)


@dataclass(frozen=True, slots=True)
class LimitResult:
    """The result of a limit."""

    limit: Limit
    measured: float | None
    passed: bool

    @property
    def found(self) -> str:
        """The measured value as text."""
        if self.measured is None:
            return "nothing measured"
        if self.limit.unit == "seconds":
            return seconds(self.measured)
        return percent(self.measured) if self.limit.unit == "percent" else f"{self.measured:g}"


def check_limits(limits: Iterable[Limit], tally: Tally) -> list[LimitResult]:
    """Check each limit against the figures, in order."""
    return [limit.check(tally) for limit in limits]


def parse_limits(texts: Sequence[str]) -> list[Limit]:
    """Parse the values of `--reel-limit`.

    :raises OptionInvalid: if one is invalid; the text says which part, and what is expected there.
    """
    return [parse_limit(text) for text in texts]


def parse_limit(text: str) -> Limit:
    """Parse one limit. The grammar is in the docstring of this module.

    :raises OptionInvalid: if it is invalid.
    """
    found = _SPLIT.match(" ".join(text.split()))
    if found is None:
        raise OptionInvalid(_OPTION, f"{text!r} has no operator", f"one of < <= > >= == !=, {_EXAMPLES}")
    left, comparison, right = found.groups()
    words = left.split(" ")
    if words[0] in _PHASES:
        return _latency_limit(text, words, comparison, right)
    return _count_limit(text, words, comparison, right)


def _latency_limit(text: str, words: list[str], comparison: str, right: str) -> Limit:
    what, *rest = words
    actual = rest[-1:] == ["actual"]
    rest = rest[:-1] if actual else rest
    if not rest:
        raise OptionInvalid(_OPTION, f"{text!r} has no statistic for {what}", "p50, p99, p99.99, mean or max after it")
    *before, statistic = rest
    if what == "lag" and (before or actual):
        raise OptionInvalid(_OPTION, f"{' '.join(words)!r} in {text!r}", "'lag' and a statistic: it has no entries")
    kind = _kind(text, before)
    try:
        value = parse_duration(right)
    except ValueError:
        raise OptionInvalid(
            _OPTION, f"{right!r} in {text!r}", "a duration with its unit, such as 800ms or 1s"
        ) from None
    return Limit(text, what, kind, _percentile(text, statistic), actual, comparison, value, "seconds")


def _percentile(text: str, word: str) -> float | None:
    if word in ("mean", "max"):
        return 100.0 if word == "max" else None
    found = _PERCENTILE.fullmatch(word)
    if found is None or not 0 < float(found[1]) <= 100:
        raise OptionInvalid(_OPTION, f"{word!r} in {text!r}", "a percentile from p0.01 to p100, mean or max")
    return float(found[1])


def _count_limit(text: str, words: list[str], comparison: str, right: str) -> Limit:
    rate = words[-1] == "rate"
    words = words[:-1] if rate else words
    before: list[str] = []
    if words and words[-1] in _LABELS:
        before = [words.pop()]
    what = " ".join(words)
    if what not in COUNTED:
        expected = f"ack, notification, lag, {', '.join(COUNTED)}"
        raise OptionInvalid(_OPTION, f"{what!r} in {text!r}", f"one of {expected}", near(what, [*_PHASES, *COUNTED]))
    if before and not COUNTED[what].of_entries:
        raise OptionInvalid(_OPTION, f"{before[0]!r} in {text!r}", f"{what!r} alone: it has no entries")
    number, percent_sign, rest = right.partition("%")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if rest or not 0 <= value < float("inf"):
        raise OptionInvalid(_OPTION, f"{right!r} in {text!r}", "a number or a percentage")
    if rate and not percent_sign:
        raise OptionInvalid(_OPTION, f"{right!r} in {text!r}", "a percentage after 'rate', such as 1%")
    return Limit(
        text, what, _kind(text, before), None, False, comparison, value, "percent" if percent_sign else "count"
    )


def _kind(text: str, words: list[str]) -> OwnerKind | None:
    if not words:
        return None
    word = " ".join(words)
    if word not in _LABELS:
        raise OptionInvalid(_OPTION, f"{word!r} in {text!r}", f"one of {', '.join(_LABELS)}", near(word, _LABELS))
    return _LABELS[word]


def _latency(tally: Tally, what: str, entry: str | None, *, actual: bool) -> Latency:
    """Return the latency of one entry, or of all together."""
    if what == "lag":
        return tally.lag
    whole = Latency()
    for name, row in tally.entries.items():
        if entry is None or name == entry:
            timing = row.ack if what == "ack" else row.notification
            whole.merge((timing.actual if actual else timing.intended).state())
    return whole
