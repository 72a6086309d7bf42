"""The two reels of the fixtures: a test's own, and the one that a run shares. Knows pytest and nothing of HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cometreel.errors import CometreelError
from cometreel.pytest_plugin.plugin_options import OPTIONS
from cometreel.pytest_plugin.reel_fixture import Reel
from cometreel.pytest_plugin.terminal_summary import SAID

__all__ = ["own_reel", "shared_reel"]


@contextmanager
def own_reel(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Make the reel of one test; it plays what the test's marker says."""
    reel = Reel(
        (request.path.parent, request.config.rootpath),
        request.config.stash[OPTIONS],
        request.config.stash[SAID].append,
        shown_from=request.config.invocation_params.dir,
    )
    marker = request.node.get_closest_marker("reel")
    if marker is not None and (wrong := _wrong(reel, marker)):
        pytest.fail(f"@pytest.mark.reel: {wrong}", pytrace=False)
    yield reel
    _end(reel)


def _wrong(reel: Reel, marker: pytest.Mark) -> str:
    """Play what a marker says; tell what is wrong with it, empty if nothing is."""
    try:
        reel.play(*marker.args, **marker.kwargs)
    except (CometreelError, TypeError) as error:
        return str(error).replace("Reel.play()", "it")
    return ""


@contextmanager
def shared_reel(request: pytest.FixtureRequest) -> Iterator[Reel]:
    """Make the reel of a run. What no test can be blamed for, `--reel-strict` doesn't ask."""
    config = request.config
    reel = Reel(
        (config.rootpath,),
        config.stash[OPTIONS].lenient(),
        config.stash[SAID].append,
        shown_from=config.invocation_params.dir,
    )
    yield reel
    _end(reel)


def _end(reel: Reel) -> None:
    """Stop a reel; what it was asked after the test is told too."""
    complaint = reel.failure_message(passed=False)
    try:
        reel.stop()
    except CometreelError as error:
        pytest.fail(str(error), pytrace=False)
    if complaint:
        pytest.fail(complaint, pytrace=False)
