"""The options of the replay addon: each error is one line, before the replay starts."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from mitmproxy import exceptions
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from cometreel.errors import InputError
from cometreel.mitmproxy_support.replay_options import read_options, unknown_options
from cometreel.proxy_addons.replay import Replay
from tests.proxy.conftest import Proxy

REVERSE = ("--mode", "reverse:http://unused")
SETTINGS = "cometreel: 1\ntitle: t\nsettings: {speed: 2, auth: session, seed: file}\nexchanges: []\n"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "a.yaml"
    file.write_text(SETTINGS)
    return file


@pytest.fixture
async def addon() -> AsyncIterator[tuple[Replay, taddons.context]]:
    addon = Replay()
    with taddons.context(Proxyserver(), addon) as context:
        yield addon, context
        await addon.done()


Addon = tuple[Replay, taddons.context]


async def test_options_override_the_scenario_which_overrides_the_defaults(addon: Addon, scenario: Path) -> None:
    _, context = addon
    context.configure(addon[0], reel_scenario=[str(scenario)], reel_speed="0.5")
    settings = read_options(context.options).settings
    assert (settings.speed, settings.auth, settings.seed) == (0.5, "session", "file")
    assert (settings.repeat, settings.unmatched) == ("last", "fail")


async def test_a_running_proxy_keeps_the_old_value_of_an_invalid_option(addon: Addon, scenario: Path) -> None:
    replay, context = addon
    context.configure(replay, reel_scenario=[str(scenario)])
    replay.running()
    with pytest.raises(exceptions.OptionsError, match=r"^reel_auth: 'nobody' is not a choice; expected one of open, "):
        context.configure(replay, reel_auth="nobody")
    assert context.options.reel_auth is None


async def test_mitmproxy_contacts_no_server_on_its_own(addon: Addon) -> None:
    options = addon[1].options
    assert (options.connection_strategy, options.keep_host_header, options.body_size_limit) == ("lazy", True, "32m")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"reel_speed": "fast"}, "reel_speed: 'fast' can't be used; expected a number, 0 or more"),
        ({"reel_speed": "-1"}, "reel_speed: '-1' can't be used; expected a number, 0 or more"),
        ({"reel_auth": "all"}, "reel_auth: 'all' is not a choice; expected one of open, session, csrf"),
        ({"reel_repeat": "2"}, "reel_repeat: '2' is not a choice; expected one of last, cycle, fail"),
        ({"reel_unmatched": "ask"}, "reel_unmatched: 'ask' is not a choice; expected one of fail, forward"),
        (
            {"stream_large_bodies": "1m"},
            (
                "stream_large_bodies: it would send the body of a large request to the server; "
                "expected no such option together with the replay addon"
            ),
        ),
        (
            {"reel_scenario": []},
            (
                "reel_scenario: no scenario is given; expected a YAML file or a folder of them "
                "(--set reel_scenario=FILE)"
            ),
        ),
    ],
)
async def test_an_invalid_option(addon: Addon, scenario: Path, given: dict[str, object], problem: str) -> None:
    replay, context = addon
    context.configure(replay, reel_scenario=[str(scenario)])
    context.options.update(**given)
    with pytest.raises(InputError) as caught:
        read_options(context.options)
    assert str(caught.value) == problem


def test_a_misspelt_option_is_reported_with_a_suggestion() -> None:
    (error,) = unknown_options(["reel_scenaro", "reel_out", "other"])
    assert str(error).startswith("reel_scenaro: unknown option; expected one of reel_auth, ")
    assert str(error).endswith("(did you mean reel_scenario?)")


def broken(text: str) -> Callable[[Path], dict[str, object]]:
    def write(folder: Path) -> dict[str, object]:
        (folder / "b.yaml").write_text(text)
        return {"reel_scenario": folder / "b.yaml"}

    return write


def responders(text: str) -> Callable[[Path], dict[str, object]]:
    def write(folder: Path) -> dict[str, object]:
        (folder / "r.py").write_text(text)
        return {"reel_scenario": folder / "a.yaml", "reel_responders": folder / "r.py"}

    return write


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        pytest.param(lambda _: {}, "reel_scenario: no scenario is given", id="no scenario"),
        pytest.param(lambda folder: {"reel_scenario": folder / "absent.yaml"}, "absent.yaml", id="missing"),
        pytest.param(broken(""), "b.yaml", id="empty"),
        pytest.param(broken("\x00\x01"), "b.yaml", id="not YAML"),
        pytest.param(broken("cometreel: 1\nexchangs: []\n"), "b.yaml:2:1: ", id="misspelt key"),
        pytest.param(broken("cometreel: 1\ntitle: &a [*a]\n"), "b.yaml:2:", id="recursive anchor"),
        pytest.param(responders("responders = ["), "r.py:1:1: SyntaxError", id="broken responders"),
        pytest.param(
            lambda folder: {"reel_scenario": folder / "a.yaml", "reel_speed": "fast"}, "reel_speed: ", id="bad speed"
        ),
        pytest.param(
            lambda folder: {"reel_scenario": folder / "a.yaml", "reel_sped": 1},
            "reel_sped: unknown option",
            id="unknown",
        ),
    ],
)
def test_mitmdump_ends_with_the_problem_in_its_log(
    start: Callable[..., Proxy], scenario: Path, settings: Callable[[Path], dict[str, object]], problem: str
) -> None:
    proxy = start("mitmdump", *REVERSE, script="replay.py", listens=False, **settings(scenario.parent))
    assert proxy.process.wait(30) == 1
    assert re.search(rf"^\[[\d:.]+\] \S*{re.escape(problem)}", proxy.output(), re.MULTILINE), proxy.output()
    assert "Traceback" not in proxy.output()


def test_a_port_in_use_ends_mitmdump(start: Callable[..., Proxy], scenario: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        proxy = start(
            "mitmdump", *REVERSE, "--listen-port", port, script="replay.py", listens=False, reel_scenario=scenario
        )
        assert proxy.process.wait(30) == 1
    assert "address already in use" in proxy.output().lower()
    assert "Traceback" not in proxy.output()
