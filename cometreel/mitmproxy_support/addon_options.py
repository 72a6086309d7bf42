"""What the addons share about options: the profile, and how a value is refused.

No addon of its own.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Iterator

from mitmproxy import exceptions

from cometreel.errors import CometreelError, OptionInvalid
from cometreel.scenario import Profile, profile, profile_names

__all__ = ["PROFILE", "RECORD_OPTIONS", "REPLAY_OPTIONS", "chosen_profile", "refuse", "unknown_options"]

PROFILE = ("reel_profile", str, "gws-v2", "Correlation profile: which notification answers which call.")
"""The option that the recording addon and the view share; mitmproxy wants it declared the same in both."""

RECORD_OPTIONS = frozenset({"reel_filter", "reel_out", "reel_policy", "reel_profile"})
REPLAY_OPTIONS = frozenset(
    {"reel_auth", "reel_repeat", "reel_responders", "reel_scenario", "reel_seed", "reel_speed", "reel_unmatched"}
)
"""What each addon adds: the other's may stand in a config.yaml that serves both."""


def chosen_profile(name: str) -> Profile:
    """Load the profile that the option `reel_profile` names.

    :raises OptionInvalid: if none of that name ships.
    """
    try:
        return profile(name)
    except KeyError:
        expected = "the name of a profile that ships"
        raise OptionInvalid("reel_profile", repr(name), expected, " or ".join(profile_names())) from None


def refuse(error: CometreelError, *, running: bool) -> None:
    """Refuse the value of an option with the error's own sentence.

    While mitmproxy starts, an error in its log ends it with exit code 1 (its `errorcheck` addon); an exception
    would be shown as a traceback. Once it runs, the exception makes it keep the old value.

    :raises mitmproxy.exceptions.OptionsError: if mitmproxy is running already.
    """
    if running:
        raise exceptions.OptionsError(str(error)) from None
    logging.getLogger(__name__).error("%s", error)


def unknown_options(names: Iterable[str], mine: Collection[str], others: Collection[str]) -> Iterator[OptionInvalid]:
    """Yield an error for each name that no addon took although it looks like one of ours.

    mitmproxy keeps a misspelt `--set` for an addon that may yet come, and says nothing. `mine` are the options of
    the addon that asks, `others` those of addons that aren't loaded: they do no harm.
    """
    for name in names:
        if name.startswith("reel_") and name not in others:
            near = difflib.get_close_matches(name, mine, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            yield OptionInvalid(name, "there is no such option", f"one of {', '.join(sorted(mine))}", hint)
