"""Options of the addons: the option that both declare, errors for invalid values and unknown names."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Iterator

from mitmproxy import exceptions

from cometreel.errors import CometreelError, OptionInvalid
from cometreel.scenario import DETECT

__all__ = ["PROFILE", "RECORD_OPTIONS", "REPLAY_OPTIONS", "refuse", "unknown_options"]

PROFILE = (
    "reel_profile",
    str,
    DETECT,
    "Correlation of notifications and calls: detect, gws-v2, workspace-v3 or a file.",
)
"""The option of the recording addon and the content view; mitmproxy requires equal declarations."""

RECORD_OPTIONS = frozenset({"reel_filter", "reel_inline_limit", "reel_out", "reel_policy", "reel_profile"})
REPLAY_OPTIONS = frozenset(
    {"reel_auth", "reel_repeat", "reel_responders", "reel_scenario", "reel_seed", "reel_speed", "reel_unmatched"}
)
"""The names of the options of each addon; a config.yaml may contain the options of both."""


def refuse(error: CometreelError, *, running: bool) -> None:
    """Reject the value of an option.

    While mitmproxy starts, a logged error ends it with exit code 1 (its `errorcheck` addon); an exception would be
    shown as a traceback. While it is running, the exception restores the old value.

    :raises mitmproxy.exceptions.OptionsError: if mitmproxy is running.
    """
    if running:
        raise exceptions.OptionsError(str(error)) from None
    logging.getLogger(__name__).error("%s", error)


def unknown_options(names: Iterable[str], options: Collection[str], others: Collection[str]) -> Iterator[OptionInvalid]:
    """Yield an error for each unknown name that begins with `reel_`.

    mitmproxy ignores unknown names in `--set`. `options` are the names of the calling addon; `others`, of addons that
    may not be loaded, are no error.
    """
    for name in names:
        if name.startswith("reel_") and name not in others:
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            yield OptionInvalid(name, "unknown option", f"one of {', '.join(sorted(options))}", hint)
