"""The mix: the percentage of requests for each kind of owner."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate

from cometreel.errors import OptionInvalid
from cometreel.load.owner_kinds import OwnerKind
from cometreel.scenario.findings import near

__all__ = ["DEFAULT_MIX", "Mix", "parse_mix"]

DEFAULT_MIX = "agent=50,place=20,agent-group=15,place-group=10,user=5"
_OPTION = "--reel-mix"
_WORDS = {kind.value: kind for kind in OwnerKind}


class Mix:
    """Kinds and their percentages, which add up to 100. Kinds that are not in the mix are not requested."""

    def __init__(self, parts: Iterable[tuple[OwnerKind, float]]) -> None:
        self.parts = tuple(parts)
        self._ends = list(accumulate(percent / 100 for _, percent in self.parts))

    def kinds(self) -> tuple[OwnerKind, ...]:
        """The kinds in the mix."""
        return tuple(kind for kind, _ in self.parts)

    def without(self, kinds: Collection[OwnerKind]) -> Mix:
        """Return the mix without some of its kinds. The other percentages are scaled to 100."""
        kept = [(kind, percent) for kind, percent in self.parts if kind not in kinds]
        total = sum(percent for _, percent in kept)
        return Mix((kind, 100 * percent / total) for kind, percent in kept)

    def pick(self, draw: float) -> OwnerKind:
        """Return the kind for a random number from 0 up to, but not including, 1."""
        return self.parts[min(bisect_right(self._ends, draw), len(self.parts) - 1)][0]

    def __str__(self) -> str:
        return ",".join(f"{kind.value}={percent:g}" for kind, percent in self.parts)


def parse_mix(text: str) -> Mix:
    """Parse a mix such as `agent=50,place=20,agent-group=15,place-group=10,user=5`.

    :raises OptionInvalid: if a kind is unknown or repeated, a number is invalid, or the sum isn't 100.
    """
    parts: dict[OwnerKind, float] = {}
    for part in text.split(","):
        word, equals, number = (piece.strip() for piece in part.partition("="))
        kind = _WORDS.get(word)
        if not equals or kind is None:
            raise OptionInvalid(
                _OPTION, f"{part.strip()!r}", f"KIND=PERCENT with one of {', '.join(_WORDS)}", near(word, _WORDS)
            )
        if kind in parts:
            raise OptionInvalid(_OPTION, f"{word!r} is repeated", "each kind once")
        parts[kind] = _percent(word, number)
    total = round(sum(parts.values()), 6)
    if total != 100:
        raise OptionInvalid(_OPTION, f"the percentages of {text!r} add up to {total:g}", "100", _difference(total))
    return Mix((kind, percent) for kind, percent in parts.items() if percent)


def _percent(word: str, number: str) -> float:
    try:
        percent = float(number)
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= 100:
        raise OptionInvalid(_OPTION, f"{number!r} for {word!r}", "a number from 0 to 100")
    return percent


def _difference(total: float) -> str:
    return f"{100 - total:g} are missing" if total < 100 else f"{total - 100:g} are too many"
