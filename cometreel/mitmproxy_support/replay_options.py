"""The options of the replay addon: their names and help, and what they ask for. Nothing about flows may enter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from mitmproxy.addonmanager import Loader
from mitmproxy.options import Options

from cometreel.engine import ReplaySettings, Responder
from cometreel.engine.responders import load_responders
from cometreel.errors import OptionInvalid
from cometreel.jsonvalue import JSON
from cometreel.mitmproxy_support.addon_options import RECORD_OPTIONS
from cometreel.mitmproxy_support.addon_options import unknown_options as unknown
from cometreel.scenario import Scenario, load

__all__ = ["OPTIONS", "ReplayPlan", "add_options", "read_options", "unknown_options"]

FILES = {
    "reel_scenario": "Scenario to replay: a YAML file or a folder of them. May be given several times.",
    "reel_responders": "Python file with responders, asked before the scenario. May be given several times.",
}
SETTINGS = {
    "reel_seed": "What generated values and opaque ids are made from. Without one, opaque ids differ in each run.",
    "reel_speed": "How fast to play: 2 is twice as fast, at 0 everything due follows its cause at once.",
    "reel_repeat": "What equal requests get when the answers of the scenario have run out: last, cycle or fail.",
    "reel_unmatched": "What a request gets that nothing answers: fail, or forward (a GET goes to the real server).",
    "reel_auth": "Who is let in: open, session (whoever has logged in) or csrf (who also sends the token).",
}
OPTIONS = frozenset({*FILES, *SETTINGS})


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What the options ask for, loaded and checked."""

    paths: tuple[Path, ...]
    scenario: Scenario
    settings: ReplaySettings
    responders: Sequence[Responder]


def add_options(loader: Loader) -> None:
    """Make the options known to mitmproxy, which has no type for numbers with a fraction."""
    for name, description in FILES.items():
        loader.add_option(name, Sequence[str], [], description)
    for name, description in SETTINGS.items():
        loader.add_option(name, Optional[str], None, description)  # type: ignore[arg-type]  # noqa: UP045  # as mitmproxy spells it


def read_options(options: Options) -> ReplayPlan:
    """Return what the options ask for, loaded and checked.

    :raises InputError: if one can't be used.
    """
    if options.stream_large_bodies:
        found = "would send the body of a large request to the server"
        raise OptionInvalid("stream_large_bodies", found, "no such option beside the replay addon")
    if not options.reel_scenario:
        expected = "a YAML file or a folder of them"
        raise OptionInvalid("reel_scenario", "nothing is given to replay", expected, "--set reel_scenario=FILE")
    paths = tuple(Path(path).expanduser() for path in options.reel_scenario)
    scenario = load(paths)
    responders = [found for path in options.reel_responders for found in load_responders(Path(path).expanduser())]
    return ReplayPlan(paths, scenario, _settings(scenario, options), responders)


def _settings(scenario: Scenario, options: Options) -> ReplaySettings:
    """Join the defaults, what the scenario sets and what the options say; the later wins."""
    given = {name.removeprefix("reel_"): getattr(options, name) for name in SETTINGS}
    try:
        return ReplaySettings().under(_said(asdict(scenario.settings))).under(_said(given))
    except OptionInvalid as error:
        raise OptionInvalid(f"reel_{error.option}", error.found, error.expected, error.hint) from None


def _said(values: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in values.items() if value is not None}


def unknown_options(names: Iterable[str]) -> Iterator[OptionInvalid]:
    """Yield an error for each option that no addon took and that looks like one of ours."""
    yield from unknown(names, OPTIONS, RECORD_OPTIONS)
