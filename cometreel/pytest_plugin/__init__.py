"""The pytest plugin: fixtures that give a test its own replay, and fail it for requests that nothing answered.

Every pytest run on a machine where Cometreel is installed loads it, so nothing heavy may be imported here: servers,
scenarios and recorders come in when a test asks for them.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from cometreel.pytest_plugin.plugin_options import OPTIONS, add_options, read_options
from cometreel.pytest_plugin.terminal_summary import TerminalSummary

if TYPE_CHECKING:
    from cometreel.pytest_plugin.recording_reel import NotWhileRecording
    from cometreel.pytest_plugin.reel_fixture import NothingPlayed, PlayedAlready, Reel

__all__ = ["NotWhileRecording", "NothingPlayed", "PlayedAlready", "Reel", "reel", "reel_session"]

MARKER = (
    "reel(*scenarios, speed=None, seed=None, repeat=None, auth=None): what the fixture `reel` plays to this test, "
    "as by reel.play(...)"
)

IN_USE: pytest.StashKey[Reel] = pytest.StashKey()
"""The reel of a test, or that of the session."""


_HEAVY = {
    "NotWhileRecording": "recording_reel",
    "NothingPlayed": "reel_fixture",
    "PlayedAlready": "reel_fixture",
    "Reel": "reel_fixture",
}


def __getattr__(name: str) -> object:
    """Import what a test names in an annotation, or in `pytest.raises`, when it does.

    :raises AttributeError: for every other name.
    """
    if name in _HEAVY:
        return getattr(importlib.import_module(f"{__name__}.{_HEAVY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, and make the marker known.

    :raises pytest.UsageError: if an option can't be used.
    """
    config.addinivalue_line("markers", MARKER)
    config.stash[OPTIONS] = read_options(config)
    config.pluginmanager.register(TerminalSummary(config), "cometreel-summary")


@pytest.fixture
def reel(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """A replay of this test's own: `reel.play("scenario.yaml", speed=0)`, then `reel.url`.

    Paths are looked for beside the test's file, then in pytest's root folder. A test that makes a request that nothing
    answers fails, unless it calls `reel.allow_unmatched()`; so does one whose answer can't be made, unless it calls
    `reel.allow_failed()`.
    """
    from cometreel.pytest_plugin.reel_fixture import reel_for_test  # noqa: PLC0415  # heavy

    with reel_for_test(request) as found:
        request.node.stash[IN_USE] = found
        yield found
        del request.node.stash[IN_USE]


@pytest.fixture(scope="session")
def reel_session(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """A replay that the tests of a run share, with its sessions: `reel_session.play("tests/scenario.yaml")`.

    Paths are looked for in pytest's root folder. Under pytest-xdist each worker has its own.
    """
    from cometreel.pytest_plugin.reel_fixture import reel_for_session  # noqa: PLC0415  # heavy

    with reel_for_session(request) as found:
        request.session.stash[IN_USE] = found
        yield found
        del request.session.stash[IN_USE]


def _reels(item: pytest.Item) -> Iterator[Reel]:
    """The reels that a test uses, that of the session first."""
    if IN_USE in item.session.stash and "reel_session" in getattr(item, "fixturenames", ()):
        yield item.session.stash[IN_USE]
    if IN_USE in item.stash:
        yield item.stash[IN_USE]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test: what the session's reel was asked before is not this test's doing."""
    for found in _reels(item):
        found.begin()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that passed although nothing answered a request of it; tell one that failed of it too."""
    try:
        result = yield
    except BaseException:
        for found in _reels(item):
            if complaint := found.failure_message(passed=False):
                item.add_report_section("call", "reel", complaint)
        raise
    if complaints := [complaint for found in _reels(item) if (complaint := found.failure_message(passed=True))]:
        pytest.fail("\n\n".join(complaints), pytrace=False)
    return result
