"""The page docs/verify.md: its commands are run, and it lists every option."""

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
from cometreel.verify import Verdict, json_report
from demo import peers
from tests.verify.conftest import Ended

PAGE = (peers.ROOT / "docs" / "verify.md").read_text()
RECORDED = peers.ROOT / "recordings" / "workbin-desktop.yaml"
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Create the folder that the page assumes: recordings, scenarios, and a scenario that differs from the server."""
    for name in ("recordings", "scenarios"):
        shutil.copytree(peers.ROOT / name, tmp_path / name)
    (tmp_path / "drifted.yaml").write_text(
        (tmp_path / "scenarios" / "subscribe.yaml").read_text().replace(": 60", ': "60"')
    )
    return tmp_path


@pytest.fixture
def replay() -> Iterator[str]:
    """Replay scenarios/subscribe.yaml and return its URL."""
    with serve_in_background(replay_app(load([peers.ROOT / "scenarios" / "subscribe.yaml"]))) as served:
        yield served.url


@pytest.mark.parametrize(("number", "code"), [(0, 0), (1, 0), (2, 1)])
def test_commands_of_the_page(number: int, code: int, folder: Path, stand_in: str, replay: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SERVER": stand_in, "REPLAY": replay}
    ended = subprocess.run(["bash", "-eu", "-c", SHELL[number]], cwd=folder, env=environment, check=False, timeout=100)
    assert ended.returncode == code
    made = {path.name for path in folder.iterdir() if path.is_file()} - {"drifted.yaml"}
    files: list[set[str]] = [{"drift.html", "drift.xml"}, set(), {"drifted.new.yaml", "scenario.schema.json"}]
    assert made - {"stand-in.out", "stand-in.err"} == files[number]


def test_page_has_no_other_command() -> None:
    assert len(SHELL) == 3


@pytest.mark.timeout(300)  # may be the first test to wait for all runs
def test_output_of_the_page(drifted: Mapping[str, Ended]) -> None:
    (shown,) = re.findall(r"```console\n\$ [^\n]*\n(.*?)```", PAGE, re.DOTALL)
    assert shown.replace("http://gws.example:8080", "URL").splitlines() == drifted["field-renamed"].out


def test_scenario_of_the_page_loads() -> None:
    text, _ = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert loads(f"cometreel: 1\n{text}").ignore == ("/workbins/*/displayName", "/user/lastLogin")


def test_proposal_of_the_page_loads() -> None:
    _, text = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert loads(f"cometreel: 1\nexchanges:\n{text}").exchanges[0].name == "diagnostics version"


def test_page_lists_every_key_of_the_json_report() -> None:
    report = json_report(Verdict(("s.yaml",), "http://live", ()))
    assert [key for key in report if f"`{key}`" not in PAGE] == []


@pytest.mark.parametrize("option", [option.opts[0] for option in verify.params if isinstance(option, click.Option)])
def test_page_lists_every_option(option: str) -> None:
    assert f"`{option}" in PAGE or f" {option} " in PAGE
