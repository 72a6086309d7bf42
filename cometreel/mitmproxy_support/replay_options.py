"""The options of the replay addon: their names and help texts, and their checked values."""

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
from cometreel.scenario import CompiledScenario, load

__all__ = ["OPTIONS", "ReplayPlan", "add_options", "read_options", "unknown_options"]

FILES = {
    "reel_scenario": "Scenario to replay: a YAML file or a folder of them. May be given several times.",
    "reel_responders": "Python file with responders, which are called before the scenario. May be given several times.",
}
SETTINGS = {
    "reel_seed": "Seed of generated values and ids. Without a seed, opaque ids differ in each run.",
    "reel_speed": "Replay speed: 2 is twice as fast, 0 removes all recorded delays.",
    "reel_repeat": "How to answer equal requests when the recorded answers are used up: last, cycle or fail.",
    "reel_unmatched": "How to answer unmatched requests: fail, or forward (send GET requests to the real server).",
    "reel_auth": "Authentication required: open (none), session (a login) or csrf (a login and the CSRF token).",
}
OPTIONS = frozenset({*FILES, *SETTINGS})


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The loaded scenario and responders, and the checked settings."""

    paths: tuple[Path, ...]
    scenario: CompiledScenario
    settings: ReplaySettings
    responders: Sequence[Responder]


def add_options(loader: Loader) -> None:
    """Register the options with mitmproxy, which has no type for decimal numbers."""
    for name, description in FILES.items():
        loader.add_option(name, Sequence[str], [], description)
    for name, description in SETTINGS.items():
        loader.add_option(name, Optional[str], None, description)  # type: ignore[arg-type]  # noqa: UP045  # as mitmproxy spells it


def read_options(options: Options) -> ReplayPlan:
    """Load the files and check the settings.

    :raises InputError: if an option or a file is invalid.
    """
    if options.stream_large_bodies:
        found = "it would send the body of a large request to the server"
        raise OptionInvalid("stream_large_bodies", found, "no such option together with the replay addon")
    if not options.reel_scenario:
        expected = "a YAML file or a folder of them"
        raise OptionInvalid("reel_scenario", "no scenario is given", expected, "--set reel_scenario=FILE")
    paths = tuple(Path(path).expanduser() for path in options.reel_scenario)
    scenario = load(paths)
    responders = [
        responder for path in options.reel_responders for responder in load_responders(Path(path).expanduser())
    ]
    return ReplayPlan(paths, scenario, _settings(scenario, options), responders)


def _settings(scenario: CompiledScenario, options: Options) -> ReplaySettings:
    """Merge the defaults, the settings of the scenario and the options; the latter win."""
    given = {name.removeprefix("reel_"): getattr(options, name) for name in SETTINGS}
    try:
        return ReplaySettings().under(_without_none(asdict(scenario.settings))).under(_without_none(given))
    except OptionInvalid as error:
        raise OptionInvalid(f"reel_{error.option}", error.found, error.expected, error.hint) from None


def _without_none(values: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in values.items() if value is not None}


def unknown_options(names: Iterable[str]) -> Iterator[OptionInvalid]:
    """Yield an error for each unknown option that begins with `reel_`."""
    yield from unknown(names, OPTIONS, RECORD_OPTIONS)
