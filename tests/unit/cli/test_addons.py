"""`cometreel addons`: paths that `mitmdump -s` and `locust -f` can load."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.cli.addons import addon_paths

ROOT = Path(__file__).parents[3]
PLACES = {
    "bayeux_view": "proxy_addons/bayeux_view.py",
    "record": "proxy_addons/record.py",
    "replay": "proxy_addons/replay.py",
    "agent_stats": "loadtests/agent_stats.py",
    "from_scenario": "loadtests/from_scenario.py",
    "scenarios": "scenarios",
}


def test_the_table_names_every_addon_and_its_path(capsys: pytest.CaptureFixture[str]):
    assert run(["addons"]) == ExitCode.SUCCESS
    table = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert {name: Path(path) for name, path in table.items()} == addon_paths()
    assert list(PLACES) == list(table)


@pytest.mark.parametrize("name", PLACES)
def test_one_name_prints_just_the_path(name: str, capsys: pytest.CaptureFixture[str]):
    assert run(["addons", name]) == ExitCode.SUCCESS
    assert capsys.readouterr().out == f"{ROOT / PLACES[name]}\n"


def test_an_unknown_name_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]):
    assert run(["addons", "recrod"]) == ExitCode.ERROR
    assert capsys.readouterr().err == (
        "cometreel: addons: there is no addon 'recrod'; "
        "expected bayeux_view or record or replay or agent_stats or from_scenario or scenarios\n"
    )
