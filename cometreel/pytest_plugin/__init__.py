"""The pytest plugin: fixtures that serve a scenario, and fail a test that sends unmatched requests.

Every pytest run loads the plugin if Cometreel is installed. Servers, scenarios and recorders are imported only when a
test uses them.
"""

from __future__ import annotations

import importlib
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

from cometreel.pytest_plugin.plugin_options import OPTIONS, add_options, read_options
from cometreel.pytest_plugin.terminal_summary import TerminalSummary

if TYPE_CHECKING:
    from cometreel.pytest_plugin.reel_fixture import NothingPlayed, NotWhileRecording, PlayedAlready, Reel

__all__ = ["NotWhileRecording", "NothingPlayed", "PlayedAlready", "Reel", "reel", "reel_session"]

MARKER = (
    "reel(*scenarios, speed=None, seed=None, repeat=None, auth=None, clock='real'): the scenarios that the fixture "
    "`reel` plays in this test; takes the arguments of reel.play(...)"
)

CURRENT_REEL: pytest.StashKey[Reel] = pytest.StashKey()
"""The reel of a test or of the session."""


def __getattr__(name: str) -> object:
    """Import a class when a test uses it, for example in an annotation or in `pytest.raises`.

    :raises AttributeError: if there is no such class.
    """
    if name in ("NotWhileRecording", "NothingPlayed", "PlayedAlready", "Reel"):
        return getattr(importlib.import_module(f"{__name__}.reel_fixture"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and register the marker.

    :raises pytest.UsageError: if an option can't be used.
    """
    config.addinivalue_line("markers", MARKER)
    config.stash[OPTIONS] = read_options(config)
    config.pluginmanager.register(TerminalSummary(config), "cometreel-summary")


@pytest.fixture
def reel(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Serves a scenario to one test: `reel.play("scenario.yaml", speed=0)`, then `reel.url`.

    Paths are relative to the folder of the test's file, then to pytest's root folder. An unmatched request fails the
    test, unless it calls `reel.allow_unmatched()`; a response that cannot be rendered fails it, unless it calls
    `reel.allow_failed()`.
    """
    from cometreel.pytest_plugin.reel_fixture import reel_for_test  # noqa: PLC0415  # heavy

    with reel_for_test(request) as current:
        request.node.stash[CURRENT_REEL] = current
        yield current
        del request.node.stash[CURRENT_REEL]


@pytest.fixture(scope="session")
def reel_session(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Serves a scenario to all tests of a run: `reel_session.play("tests/scenario.yaml")`.

    Paths are relative to pytest's root folder. With pytest-xdist, each worker has its own server.
    """
    from cometreel.pytest_plugin.reel_fixture import reel_for_session  # noqa: PLC0415  # heavy

    with reel_for_session(request) as current:
        request.session.stash[CURRENT_REEL] = current
        yield current
        del request.session.stash[CURRENT_REEL]


def _reels(item: pytest.Item) -> Iterator[Reel]:
    """Return the reels that a test uses, that of the session first."""
    if CURRENT_REEL in item.session.stash and "reel_session" in getattr(item, "fixturenames", ()):
        yield item.session.stash[CURRENT_REEL]
    if CURRENT_REEL in item.stash:
        yield item.stash[CURRENT_REEL]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell the reels that a test starts, so that it does not fail for earlier requests."""
    for each in _reels(item):
        each.start_test()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a passed test for unmatched requests; add them, and lost notifications, to the report of a failed one."""
    try:
        result = yield
    except BaseException:
        for each in _reels(item):
            sections = (each.failure_message(passed=False), each.undelivered_message())
            if message := "\n\n".join(filter(None, sections)):
                item.add_report_section("call", "reel", message)
        raise
    if messages := [message for each in _reels(item) if (message := each.failure_message(passed=True))]:
        pytest.fail("\n\n".join(messages), pytrace=False)
    return result
