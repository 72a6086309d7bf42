"""The command line options of a load test and their values."""

from __future__ import annotations

import os
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from cometreel.errors import OptionInvalid
from cometreel.load import (
    DEFAULT_MIX,
    ArrivalPlan,
    Limit,
    Mix,
    OwnerKind,
    Owners,
    Rate,
    Spacing,
    parse_limits,
    parse_mix,
    parse_rate,
    read_owners,
)
from cometreel.locust_agents.agent import AgentConfig, Transport
from cometreel.locust_agents.load_target import LoadTarget, parse_target
from cometreel.locust_agents.login import LOGIN_MODES
from cometreel.locust_agents.scenario_script import ScenarioScript, read_script
from cometreel.locust_agents.user_list import UserList, read_users
from cometreel.scenario.durations import parse_duration

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser

__all__ = ["RunOptions", "add_options", "add_scenario_options", "read_options", "read_scenario_options"]

_T = TypeVar("_T")

_AFTER_LOGIN = {"subscribe": "Subscribe", "request-stats": "RequestStats"}
_LATE = 2.0
_PASSWORD = "REEL_PASSWORD"  # noqa: S105  # the name of a variable

_OPTIONS = (
    ("--reel-mix", "", ("Share of each owner type, in per cent. "
     f"Default: {DEFAULT_MIX}, without the types that have no --reel-owners.")),
    ("--reel-rate", "", ("Requests per second over all workers: 100, 'ramp 10..200 in 60s', 'steps 50,100 of 30s', "
     "'spike 50..500 at 60s for 10s', 'soak 80 for 8h'. Without it, agents send the next request after each answer.")),
    ("--reel-spacing", "poisson", "Distribution of the requests: poisson or constant."),
    ("--reel-seed", "1", "The same seed sends the same requests in the same order."),
    ("--reel-late", "", ("Time since the intended start after which an answer is late. "
     f"Default: {_LATE:g}s, or the patience if that is shorter.")),
    ("--reel-patience", "10s", ("Time since the POST after which a missing answer is lost; "
     "the run waits this long at its end.")),
    ("--reel-login", "", ("Login of the agents: open, basic (with each request) or session (once, then a cookie). "
     "Default: session with --reel-users, else open.")),
    ("--reel-users", "", ("User names: a CSV file with the header user,password, or a pattern such as agent-{1..200} "
     f"with the password in the variable {_PASSWORD}.")),
    ("--reel-transport", "long-polling", "Transport of the notifications: long-polling or websocket."),
    ("--reel-beside", "", f"Operations to send for each workbin of an agent after login: {', '.join(_AFTER_LOGIN)}."),
    ("--reel-trust", "", "Certificates to verify the server with. Without it, any certificate is accepted."),
    ("--reel-step", "10s", "Measured time of each step of --reel-find-capacity."),
    ("--reel-junit", "", "Write the limits as JUnit XML to this file."),
    ("--reel-json", "", "Write all figures of the report as JSON to this file."),
)  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """The options of a run."""

    target: LoadTarget
    plan: ArrivalPlan
    seed: str
    rate: Rate | None
    """None in a closed loop."""
    config: AgentConfig
    users: UserList
    limits: tuple[Limit, ...]
    find_capacity: bool
    junit: Path | None
    json: Path | None = None
    step: float = 10.0
    """Seconds of each step of a search for capacity that are judged."""
    left_out: tuple[OwnerKind, ...] = ()
    """The kinds of the default mix without owners."""

    @property
    def script(self) -> ScenarioScript | None:
        """The requests of a scenario, which replace the plan."""
        return self.config.script

    def notes(self) -> list[str]:
        """Return a line for everything that will not be sent, and how to add it."""
        if self.script is not None:
            return [f"{name!r} is skipped: {why}" for name, why in self.script.skipped.items()]
        if not self.left_out:
            return []
        kinds = ", ".join(kind.value for kind in self.left_out)
        example = f"{self.left_out[0].value}={self.left_out[0].label}{{1..10}}"
        return [
            f"the mix is {self.plan.mix}: no owners are given for {kinds}; add them, such as --reel-owners '{example}'"
        ]

    def settings(self) -> tuple[tuple[str, str], ...]:
        """Return the settings that a report shows. They contain no secrets."""
        if self.script is not None:
            return (("scenario", f"a round lasts {self.script.seconds:g} s"), *self._agent_settings())
        rate = "closed loop" if self.rate is None else f"{self.rate} requests/s, {self.plan.spacing}"
        return (("mix", str(self.plan.mix)), ("rate", rate), ("seed", self.seed), *self._agent_settings())

    def _agent_settings(self) -> tuple[tuple[str, str], ...]:
        config = self.config
        return (
            ("login", config.login),
            ("transport", config.transport),
            ("late", f"{config.late:g} s"),
            ("patience", f"{config.patience:g} s"),
        )


def add_options(parser: LocustArgumentParser) -> None:
    """Add the options to Locust's parser. The web form doesn't show them: the command line defines a run."""
    for name, default, text in _OPTIONS:
        variable = name.strip("-").replace("-", "_").upper()
        parser.add_argument(name, default=default, help=text, env_var=variable, include_in_web_ui=False)
    for name, text in (
        ("--reel-owners", "Owners: a CSV or YAML file, or a pattern such as place=Place{1..200}. May be repeated."),
        ("--reel-limit", "Limit that must hold at the end: 'notification p99 < 800ms', 'lost == 0'. May be repeated."),
    ):
        parser.add_argument(name, action="append", default=[], help=text, include_in_web_ui=False)
    text = "Raise the rate from --reel-rate until a limit breaks; report the highest rate that held."
    parser.add_argument("--reel-find-capacity", action="store_true", help=text, include_in_web_ui=False)


def add_scenario_options(parser: LocustArgumentParser) -> None:
    """Add the options of a load test with a scenario."""
    add_options(parser)
    text = "Scenario whose requests are sent: a YAML file or a folder. May be repeated."
    parser.add_argument("--reel-scenario", action="append", default=[], help=text, include_in_web_ui=False)
    text = "Speed: 2 is twice as fast as recorded."
    parser.add_argument("--reel-speed", default="1", help=text, env_var="REEL_SPEED", include_in_web_ui=False)


def read_scenario_options(options: Namespace, host: str | None) -> RunOptions:
    """Return the options of a run whose requests come from a scenario.

    :raises InputError: if an option is invalid.
    """
    if options.reel_rate or options.reel_find_capacity:
        option = "--reel-rate" if options.reel_rate else "--reel-find-capacity"
        raise OptionInvalid(option, "the scenario defines the rate", "--reel-speed, and more or fewer --users")
    if not options.reel_scenario:
        raise OptionInvalid("--reel-scenario", "no scenario is given", "a YAML file or a folder of them")
    run = read_options(Namespace(**{**vars(options), "reel_mix": "agent=100"}), host)
    config = run.config
    paths = [Path(path) for path in options.reel_scenario]
    script = read_script(paths, _speed(options.reel_speed), has_users=config.login != "open")
    channels = script.channels or config.channels
    return replace(run, config=replace(config, endpoint=script.endpoint, channels=channels, script=script))


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise OptionInvalid("--reel-speed", repr(text), "a number above 0, such as 2 for twice as fast")
    return speed


def read_options(options: Namespace, host: str | None) -> RunOptions:
    """Return the options of a run.

    :raises InputError: if an option is invalid.
    """
    target = parse_target(host, _file("--reel-trust", options.reel_trust))
    owners = read_owners(options.reel_owners)
    mix, left_out = _mix(options.reel_mix, owners)
    spacing = _choice("--reel-spacing", options.reel_spacing, get_args(Spacing))
    rate = parse_rate(options.reel_rate) if options.reel_rate else None
    users = read_users(options.reel_users, os.environ.get(_PASSWORD))
    limits = tuple(parse_limits(options.reel_limit))
    if options.reel_find_capacity and not limits:
        expected = "a limit that decides if a rate is too high"
        raise OptionInvalid("--reel-find-capacity", "no --reel-limit is given", expected)
    if options.reel_find_capacity and rate is None:
        raise OptionInvalid("--reel-find-capacity", "no --reel-rate is given", "the first rate, such as 10")
    if options.reel_find_capacity and rate is not None and (rate.pieces or rate.ends is not None):
        raise OptionInvalid(
            "--reel-rate", f"a search can't start at {options.reel_rate!r}", "a constant rate, such as 10"
        )
    junit, json = (Path(file) if file else None for file in (options.reel_junit, options.reel_json))
    plan = ArrivalPlan(mix, owners, options.reel_seed, spacing)
    find, step = options.reel_find_capacity, _seconds("--reel-step", options.reel_step)
    config = _config(options, users)
    return RunOptions(
        target, plan, options.reel_seed, rate, config, users, limits, find, junit, json, step, left_out=left_out
    )


def _mix(text: str, owners: Owners) -> tuple[Mix, tuple[OwnerKind, ...]]:
    """Return the mix, and the kinds of the default mix that are left out because no owner is given."""
    if text:
        mix = parse_mix(text)
        owners.check(mix)
        return mix, ()
    mix = parse_mix(DEFAULT_MIX)
    left_out = owners.missing(mix)
    return mix.without(left_out), tuple(left_out)


def _config(options: Namespace, users: UserList) -> AgentConfig:
    login = _choice("--reel-login", options.reel_login or ("session" if users else "open"), LOGIN_MODES)
    if login != "open" and not users:
        expected = "--reel-users FILE, or a pattern such as agent-{1..200}"
        raise OptionInvalid("--reel-login", f"{login!r} needs user names and passwords", expected)
    patience = _seconds("--reel-patience", options.reel_patience)
    late = _seconds("--reel-late", options.reel_late) if options.reel_late else min(_LATE, patience)
    if late > patience:
        expected = f"at most --reel-patience, {options.reel_patience}"
        raise OptionInvalid("--reel-late", f"{options.reel_late!r}", expected, "a lost answer can't be late")
    words = [word.strip() for word in options.reel_beside.split(",") if word.strip()]
    after_login = tuple(_AFTER_LOGIN[_choice("--reel-beside", word, tuple(_AFTER_LOGIN))] for word in words)
    transport: Transport = _choice("--reel-transport", options.reel_transport, get_args(Transport))
    return AgentConfig(login, transport, after_login=after_login, late=late, patience=patience)


def _choice(option: str, value: Any, choices: tuple[_T, ...]) -> _T:
    if value not in choices:
        raise OptionInvalid(option, f"{value!r} is not allowed", f"one of {', '.join(map(str, choices))}")
    chosen: _T = value
    return chosen


def _seconds(option: str, text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if not seconds:
        raise OptionInvalid(option, f"{text!r}", "a duration with its unit, such as 800ms or 10s")
    return seconds


def _file(option: str, text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise OptionInvalid(option, f"{text!r} is no file", "a file that can be read")
    return Path(text) if text else None
