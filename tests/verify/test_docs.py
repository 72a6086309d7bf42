"""The page about verification can't drift from the program: its commands are run, its options are all there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
import pytest

from cometreel.cli.verify import verify
from cometreel.scenario import load, loads
from cometreel.serve import replay_app, serve_in_background
from demo import peers
from tests.verify.conftest import Ended

PAGE = (peers.ROOT / "docs" / "verify.md").read_text()
RECORDED = peers.ROOT / "recordings" / "workbin-desktop.yaml"
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as the page takes it to be: recordings, scenarios, and a scenario whose server has drifted."""
    for name in ("recordings", "scenarios"):
        shutil.copytree(peers.ROOT / name, tmp_path / name)
    (tmp_path / "drifted.yaml").write_text(
        (tmp_path / "scenarios" / "subscribe.yaml").read_text().replace(": 60", ': "60"')
    )
    return tmp_path


@pytest.fixture
def replay() -> Iterator[str]:
    """A replay of the scenario of subscriptions."""
    with serve_in_background(replay_app(load([peers.ROOT / "scenarios" / "subscribe.yaml"]))) as served:
        yield served.url


@pytest.mark.parametrize(("number", "code"), [(0, 0), (1, 0), (2, 1)])
def test_each_command_runs_as_it_stands(number: int, code: int, folder: Path, stand_in: str, replay: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SERVER": stand_in, "REPLAY": replay}
    ended = subprocess.run(["bash", "-eu", "-c", SHELL[number]], cwd=folder, env=environment, check=False, timeout=100)
    assert ended.returncode == code
    made = {path.name for path in folder.iterdir() if path.is_file()} - {"drifted.yaml"}
    files: list[set[str]] = [{"drift.html", "drift.xml"}, set(), {"drifted.new.yaml", "scenario.schema.json"}]
    assert made - {"stand-in.out", "stand-in.err"} == files[number]


def test_there_is_no_other_command() -> None:
    assert len(SHELL) == 3


@pytest.mark.timeout(300)  # it may be the first to wait for all the runs
def test_the_output_that_is_shown_is_what_is_printed(drifted: Mapping[str, Ended]) -> None:
    (shown,) = re.findall(r"```console\n\$ [^\n]*\n(.*?)```", PAGE, re.DOTALL)
    assert shown.replace("http://gws.example:8080", "URL").splitlines() == drifted["field-renamed"].out


def test_the_scenario_lines_load() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert loads(f"cometreel: 1\n{text}").ignore == ("/workbins/*/displayName", "/user/lastLogin")


@pytest.mark.parametrize("option", [option.opts[0] for option in verify.params if isinstance(option, click.Option)])
def test_every_option_is_on_the_page(option: str) -> None:
    assert f"`{option}" in PAGE or f" {option} " in PAGE
