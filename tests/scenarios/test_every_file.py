"""Each shipped scenario is sound, explains itself, and every exchange in it answers what it says it answers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cometreel.scenario import dump, load, parse, schema
from tests.scenarios.asking import answer, ask, played, read
from tests.scenarios.conftest import SCENARIOS, Begin

FILES = sorted(path.name for path in SCENARIOS.glob("*.yaml"))
EXCHANGES = [(file, exchange["name"]) for file in FILES for exchange in read(file)["exchanges"]]
EVIDENCE = ("documented", "observed", "inferred", "made up")
DESKTOP = ("login_workload.yaml", "request_agent_stats.yaml", "request_stats.yaml")


@pytest.mark.parametrize("name", FILES)
def test_a_file_loads_and_the_schema_agrees(name: str) -> None:
    scenario = load([SCENARIOS / name])
    assert scenario.title
    assert scenario.exchanges
    jsonschema.validate(read(name), schema())


@pytest.mark.parametrize("name", FILES)
def test_other_yaml_tools_read_a_file_the_same_way(name: str) -> None:
    """A plain parser sees the very values, and writing the file back keeps them."""
    file = parse(SCENARIOS / name)
    assert file.model_dump(mode="json", by_alias=True, exclude_unset=True) == read(name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_written_back_is_the_same_scenario(name: str, tmp_path: Path) -> None:
    file = parse(SCENARIOS / name)
    copy = tmp_path / name
    copy.write_text(dump(file))
    assert parse(copy) == file
    assert dump(parse(copy)) == copy.read_text()


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_checked_by_editors_and_explains_itself(name: str) -> None:
    text = (SCENARIOS / name).read_text()
    first, second = text.splitlines()[:2]
    assert first == "# yaml-language-server: $schema=scenario.schema.json"
    assert second == "#"
    assert (SCENARIOS / "scenario.schema.json").is_file()
    assert "Nothing here was recorded" in text
    assert max(map(len, text.splitlines())) <= 120
    used = [word for word in EVIDENCE if re.search(rf"# .*\b{word}\b", text)]
    assert used, "no fact says what stands behind it"


@pytest.mark.parametrize("name", FILES)
def test_ids_have_the_format_of_the_protocol(name: str) -> None:
    """A workbin is a dashed UUID in lower case, a user 32 hexadecimal digits, an interaction 16 characters."""
    text = (SCENARIOS / name).read_text()
    for found in re.findall(r"\b[0-9A-Fa-f]{8}-[\w-]+", text):
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found), found
    for found in re.findall(r"\b[0-9A-Fa-f]{30,}\b", text):
        assert re.fullmatch(r"[0-9a-f]{32}", found), found
    for found in re.findall(r"\b0001[0-9a-zA-Z]+\b", text):
        assert re.fullmatch(r"[0-9A-Z]{16}", found), found


def test_the_name_of_an_exchange_is_unique_across_files() -> None:
    """So that any files with the same endpoint can be played together."""
    names = [name for _, name in EXCHANGES]
    assert sorted(names) == sorted(set(names))


def test_the_files_of_a_desktop_can_be_combined_and_all_exchanges_are_reachable(begin: Begin) -> None:
    talk = begin(*DESKTOP)
    agent = talk.client(user="agent-1").connects()
    exchanges = [exchange for name in DESKTOP for exchange in read(name)["exchanges"]]
    asked = [exchange for exchange in exchanges if exchange["request"].get("authenticated") is not False]
    for exchange in asked:
        ask(agent, exchange)
    assert played(talk) == [exchange["name"] for exchange in asked]
    talk.at(10.0)
    assert len(agent.received) == len(asked) + sum(len(exchange.get("events", [])) for exchange in asked)
    agent.received.clear()


@pytest.mark.parametrize(("file", "name"), EXCHANGES, ids=[f"{file}: {name}" for file, name in EXCHANGES])
def test_an_exchange_gives_the_reply_of_the_file(begin: Begin, file: str, name: str) -> None:
    """Its reply and its notifications come when they are due, as whole values; nothing before it answers instead."""
    document = read(file)
    exchanges = {exchange["name"]: exchange for exchange in document["exchanges"]}
    talk = begin(file)
    talk.at(1.0)
    client = talk.client(user=_user(exchanges[name]))
    if talk.backend.settings.auth == "csrf" and exchanges[name]["request"]["method"] == "POST":
        _fetch_token(client, exchanges)
    if exchanges[name]["request"].get("authenticated") is not False:
        client.connects()
    for earlier in _guards(exchanges[name], "after"):
        ask(client, exchanges[earlier])
    talk.at(3.0)
    client.received.clear()
    ask(client, exchanges[name])
    assert played(talk)[-1] == name
    talk.at(5.9)  # before what others do in add_and_pull.yaml
    client.receives(*answer(exchanges[name], 3.0))


def _user(exchange: dict[str, Any]) -> str | None:
    return None if exchange["request"].get("authenticated") is False else "agent-1"


def _guards(exchange: dict[str, Any], kind: str) -> list[str]:
    names = exchange.get("when", {}).get(kind, [])
    return [names] if isinstance(names, str) else names


def _fetch_token(client: Any, exchanges: dict[str, Any]) -> None:
    ask(client, next(exchange for exchange in exchanges.values() if exchange["request"]["method"] == "GET"))
    client.headers["X-CSRF-TOKEN"] = client.last.headers.get("X-CSRF-TOKEN")


def test_the_readme_of_the_folder_describes_each_file() -> None:
    text = (SCENARIOS / "README.md").read_text()
    assert [name for name in FILES if f"`{name}`" not in text] == []
