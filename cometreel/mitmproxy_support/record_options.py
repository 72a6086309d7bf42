"""The options of the recording addon: their names and help texts, and their checked values."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mitmproxy import flowfilter, http
from mitmproxy.addonmanager import Loader
from mitmproxy.options import Options

from cometreel.errors import OptionInvalid
from cometreel.mitmproxy_support.addon_options import PROFILE, REPLAY_OPTIONS
from cometreel.mitmproxy_support.addon_options import unknown_options as unknown
from cometreel.mitmproxy_support.flow_translation import raw_field
from cometreel.recording import INLINE_LIMIT, Policy, load_policy
from cometreel.scenario import ProfileChoice, chosen_profile

__all__ = ["OPTIONS", "RecordOptions", "add_options", "default_journal", "read_options", "unknown_options"]

_NO_ASSETS = "!~a"
_LONGEST_NAME = 245
"""The longest name of a journal in bytes: file systems allow 255, and `.new.yaml` must fit."""
_OPTIONS = (
    ("reel_out", str, "", "Path of the journal; default recordings/<time>.jsonl. The scenario is written next to it."),
    ("reel_filter", str, _NO_ASSETS, "Traffic to record besides CometD: a mitmproxy filter. Empty: all traffic."),
    ("reel_policy", str, "default", "Redaction policy: default, strict, or a policy file."),
    PROFILE,
    ("reel_inline_limit", int, INLINE_LIMIT, "Write larger bodies and data (in bytes) to separate files; 0 for none."),
)
OPTIONS = frozenset(name for name, *_ in _OPTIONS)


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """The checked options. `is_wanted` selects the flows to record besides CometD.

    `filter_reads_bodies` is True if it can't decide before the end of the body.
    """

    journal: Path
    is_wanted: Callable[[http.HTTPFlow], bool | None]
    filter_reads_bodies: bool
    policy: Policy
    profile: ProfileChoice
    inline_limit: int = INLINE_LIMIT

    def same_journal(self, other: RecordOptions) -> bool:
        """Return True if a recording with the other options can continue with these."""
        return (self.journal, self.policy, self.profile) == (other.journal, other.policy, other.profile)


def add_options(loader: Loader) -> None:
    """Register the options with mitmproxy."""
    for option in _OPTIONS:
        loader.add_option(*option)


def read_options(options: Options, default: Path) -> RecordOptions:
    """Return the checked options; `default` is the journal if none is given.

    :raises InputError: if an option is invalid.
    """
    return RecordOptions(
        journal=_journal(options.reel_out) if options.reel_out else default,
        is_wanted=_filter(options.reel_filter),
        filter_reads_bodies="~b" in options.reel_filter,
        policy=load_policy(options.reel_policy),
        profile=chosen_profile(options.reel_profile, "reel_profile"),
        inline_limit=_limit(options.reel_inline_limit),
    )


def unknown_options(names: Iterable[str]) -> Iterator[OptionInvalid]:
    """Yield an error for each unknown option that begins with `reel_`."""
    yield from unknown(names, OPTIONS, REPLAY_OPTIONS)


def default_journal(folder: Path = Path("recordings")) -> Path:
    """Return the path of a journal with the current time as its name."""
    return folder / time.strftime("%Y-%m-%dT%H-%M-%S.jsonl", time.gmtime())


def _limit(number: int) -> int:
    if number < 0:
        raise OptionInvalid("reel_inline_limit", str(number), "a number of bytes from 0")
    return number


def _journal(text: str) -> Path:
    path = Path(os.path.expanduser(text))  # noqa: PTH111  # pathlib fails if the home folder is unknown
    if len(path.name.encode()) > _LONGEST_NAME:
        found = f"'{text[:40]}…' has a name of {len(path.name.encode())} bytes"
        raise OptionInvalid("reel_out", found, f"at most {_LONGEST_NAME}")
    if path.suffix in (".yaml", ".yml", ".key"):
        hint = "the scenario next to it gets .yaml, its key .key"
        raise OptionInvalid("reel_out", repr(text), "the path of a journal, for example recordings/login.jsonl", hint)
    is_folder = os.path.isdir(path)  # noqa: PTH112  # pathlib fails for a path that is too long
    return default_journal(path) if is_folder else path


def _filter(text: str) -> Callable[[http.HTTPFlow], bool | None]:
    if not text:
        return lambda _flow: True
    if text == _NO_ASSETS:
        return _is_no_asset
    try:
        return flowfilter.parse(text)
    except ValueError:
        hint = "for example '~u /api/ & !~a'"
        raise OptionInvalid("reel_filter", repr(text), "a mitmproxy filter expression", hint) from None


def _is_no_asset(flow: http.HTTPFlow) -> bool:
    """Return the same result as `!~a`; mitmproxy's filter takes half as long as recording a call."""
    return not (flow.response and _is_asset(raw_field(flow.response.headers.fields, b"content-type")))


@lru_cache(maxsize=1000)
def _is_asset(content_type: bytes) -> bool:
    return any(asset.search(content_type) for asset in flowfilter.FAsset.ASSET_TYPES)
