"""`Scenario`: loading and combining files, dumping, and the problems that are found when it is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel import markers
from cometreel.errors import FileInvalid
from cometreel.scenario import Scenario, load
from cometreel.scenario import builders as build

HERE = str(Path(__file__))
LOG_IN = """
cometreel: 1
title: Log in
bayeux: {endpoint: /cometd}
roles: {agent-1: {user: a}}
reply_headers: {X-Common: common, X-Own: common}
exchanges:
  - name: log in
    request: {method: POST, path: /login}
    reply: {headers: {x-own: own}}
"""
STATS = """
cometreel: 1
bayeux: {endpoint: /cometd}
roles: {agent-1: {user: a}, agent-2: {}}
ignore: [/a]
exchanges:
  - name: stats
    when: {after: log in}
    request: {method: GET, path: /stats}
timeline:
  - {since: stats, channel: /v2/me/stats}
faults:
  - {exchange: stats, disconnect: true}
"""


def problems(function: object) -> list[str]:
    assert callable(function)
    with pytest.raises(FileInvalid) as caught:
        function()
    return str(caught.value).split("\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(LOG_IN)
    (tmp_path / "b.yaml").write_text(STATS)
    (tmp_path / "b.new.yaml").write_text("cometreel: 2")
    return tmp_path


def test_several_files_are_combined(folder: Path) -> None:
    scenario = Scenario.load(folder)
    assert scenario == Scenario.load(folder / "a.yaml", str(folder / "b.yaml"))
    assert scenario.files == (folder / "a.yaml", folder / "b.yaml")
    assert scenario == Scenario(
        title="Log in",
        bayeux={"endpoint": "/cometd"},
        ignore=["/a"],
        roles={"agent-1": build.role("a"), "agent-2": build.role()},
        exchanges=[
            build.exchange(
                "log in", build.post("/login"), reply=build.reply(headers={"x-own": "own", "X-Common": "common"})
            ),
            build.exchange("stats", build.get("/stats"), when=build.when(after="log in")),
        ],
        timeline=[build.timeline_entry("/v2/me/stats", since="stats")],
        faults=[build.fault("stats", disconnect=True)],
    )


def test_a_combined_scenario_compiles_to_what_its_files_compile_to(folder: Path) -> None:
    compiled, of_files = Scenario.load(folder).compiled(), load(folder)
    assert compiled.files == of_files.files
    assert [each.position for each in compiled.exchanges] == [each.position for each in of_files.exchanges]
    assert compiled.exchanges == of_files.exchanges
    assert (compiled.timeline, compiled.faults, compiled.roles) == (
        of_files.timeline,
        of_files.faults,
        of_files.roles,
    )


def test_one_file_keeps_the_header_fields_of_all_replies(folder: Path) -> None:
    scenario = Scenario.load(folder / "a.yaml")
    assert scenario.reply_headers == {"X-Common": "common", "X-Own": "common"}
    assert scenario.compiled().exchanges == load(folder / "a.yaml").exchanges


def test_files_that_differ_in_a_section_are_an_error(folder: Path) -> None:
    (folder / "b.yaml").write_text("cometreel: 1\nbayeux: {}\nroles: {agent-1: {user: b}}\n")
    same = "expected the same value in all files"
    assert problems(lambda: Scenario.load(folder)) == [
        f"{folder}/b.yaml:2:1: bayeux differs from {folder}/a.yaml:4:1; {same}",
        f"{folder}/b.yaml:3:9: the role 'agent-1' differs from the one in another file; {same}",
    ]


def test_all_problems_of_all_files_are_reported(folder: Path) -> None:
    (folder / "a.yaml").write_text("cometreel: 1\ntitel: x")
    assert len(problems(lambda: Scenario.load(folder, folder / "missing.yaml"))) == 2


def test_a_file_needs_its_version_and_python_does_not() -> None:
    assert problems(lambda: Scenario.loads("title: x")) == [
        "<string>:1:1: the file has no `cometreel`; add `cometreel: 1`, the version of the format"
    ]
    assert Scenario(title="x") == Scenario.loads("cometreel: 1\ntitle: x")


def test_a_dump_contains_the_values_of_data_files(tmp_path: Path) -> None:
    (tmp_path / "big.json").write_text('{"a": 1.50}')
    (tmp_path / "a.yaml").write_text(
        "cometreel: 1\nexchanges: [{name: a, request: {method: GET, path: /}, reply: {body: {$file: big.json}}}]"
    )
    scenario = Scenario.load(tmp_path / "a.yaml")
    assert Scenario.loads(scenario.dump()) == scenario
    assert "a: 1.50" in scenario.dump()


def test_unknown_and_duplicate_names_are_found_when_it_is_compiled() -> None:
    one = build.exchange("one", build.get("/a"))
    scenario = Scenario(
        exchanges=[
            one,
            one,
            build.exchange("two", build.get("/b"), as_="agent", when=build.when(before=["ones"])),
            build.exchange("three", build.get("/c"), reply=build.reply({"id": markers.id("place-1")})),
            build.exchange(
                "four",
                build.get("/d"),
                events=[
                    build.event("/a", deliver="nobody"),
                    build.event("/a", markers.template("{{ plce }}")),
                ],
            ),
        ],
        timeline=[build.timeline_entry("/a", since="twoo")],
        faults=[build.fault("five", disconnect=True)],
    )
    start = test_unknown_and_duplicate_names_are_found_when_it_is_compiled.__code__.co_firstlineno
    texts = [text.removeprefix(f"{HERE}:").split(":", 2) for text in problems(scenario.compiled)]
    assert [(int(line) - start, text.split(";")[0].strip()) for line, _, text in texts] == [
        (1, "the name 'one' is used twice"),
        (6, "unknown role 'agent'"),
        (6, "unknown exchange 'ones'"),
        (7, "no request binds {$id: place-1}"),
        (12, "unknown receiver 'nobody'"),
        (13, "the template '{{ plce }}' uses the undefined name 'plce'"),
        (17, "unknown exchange 'twoo'"),
        (18, "unknown exchange 'five'"),
    ]


def test_problems_between_files_and_blocks_in_python_have_their_own_positions(folder: Path) -> None:
    loaded = Scenario.load(folder / "b.yaml")
    own = build.exchange("own", build.get("/own"), when=build.when(after="log out"))
    texts = problems(Scenario(roles=loaded.roles, exchanges=[*(loaded.exchanges or []), own]).compiled)
    of_file, of_call = sorted(texts, key=lambda text: text.startswith(f"{HERE}:"))  # they are in the order of the paths
    assert of_file.startswith(f"{folder}/b.yaml:8:19: unknown exchange 'log in'")
    assert of_call.startswith(f"{HERE}:")


def test_a_scenario_that_is_rejected_by_its_own_sections_names_the_call() -> None:
    scenario = Scenario(correlation="gws-v3")
    line = test_a_scenario_that_is_rejected_by_its_own_sections_names_the_call.__code__.co_firstlineno + 1
    (text,) = problems(scenario.compiled)
    assert text.startswith(f"{HERE}:{line}:16: unknown correlation profile 'gws-v3'; expected gws-v2 or")


def test_a_path_may_begin_with_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.yaml").write_text("cometreel: 1\ntitle: at home\n")
    assert Scenario.load("~/a.yaml").title == "at home"
