"""Owners: patterns and files, and the position of every problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from cometreel.errors import FileInvalid, OptionInvalid
from cometreel.load import OwnerKind, Owners, parse_mix, read_owners

KINDS = "agent, place, agent-group, place-group, user"
WANTED = f"expected a file, or KIND=NAME with one of {KINDS}, such as place=Place{{1..200}}"


def test_patterns_are_expanded_in_order():
    owners = read_owners(["place=Place{9..11}", "place=Lobby", "agent-group=G{01..03}-x", "place=Lobby"])
    assert owners == Owners(
        {OwnerKind.PLACE: ["Place9", "Place10", "Place11", "Lobby"], OwnerKind.AGENT_GROUP: ["G01-x", "G02-x", "G03-x"]}
    )
    assert owners.of(OwnerKind.USER) == ()
    assert repr(owners) == "Owners({'place': 4, 'agent-group': 3})"


def test_owners_from_a_csv_file(tmp_path: Path):
    path = tmp_path / "owners.csv"
    path.write_text('kind,owner\nplace,Place1\nplace,"Desk, left"\n\nuser,28383e55\n')
    assert read_owners([str(path)]) == Owners({OwnerKind.PLACE: ["Place1", "Desk, left"], OwnerKind.USER: ["28383e55"]})


def test_owners_from_a_yaml_file(tmp_path: Path):
    path = tmp_path / "owners.yaml"
    path.write_text("place: [Place1, Place2]\nagent-group:\n  - Sales\n")
    assert read_owners([str(path)]) == Owners({OwnerKind.PLACE: ["Place1", "Place2"], OwnerKind.AGENT_GROUP: ["Sales"]})


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (
            "nothing.csv",
            f"--reel-owners: 'nothing.csv' is no file; {WANTED}",
        ),
        (
            "places=P",
            f"--reel-owners: 'places=P' is no file; {WANTED} (did you mean 'place'?)",
        ),
        ("place=", "--reel-owners: 'place=' has no name; expected a name after the '='"),
        ("place=P{1-9}", "--reel-owners: 'place=P{1-9}'; expected a range such as {1..200}"),
        ("place=P{1..2}{1..2}", "--reel-owners: 'place=P{1..2}{1..2}' has 2 ranges; expected one range"),
        ("place=P{9..1}", "--reel-owners: 'place=P{9..1}' counts down; expected a range from low to high ({1..9})"),
        ("place=P{1..9999999}", "--reel-owners: 'place=P{1..9999999}' has more than 1000000 owners; expected fewer"),
    ],
)
def test_an_invalid_value_is_refused(value: str, sentence: str):
    with pytest.raises(OptionInvalid) as refused:
        read_owners([value])
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("name", "text", "sentences"),
    [
        ("o.csv", "", ["o.csv: it contains no owner; expected at least one (start with 'kind,owner')"]),
        ("o.csv", "kind,owner\n", ["o.csv: it contains no owner; expected at least one (start with 'kind,owner')"]),
        ("o.csv", "place,P1\n", ["o.csv:1:1: the header 'place,P1'; expected 'kind,owner'"]),
        (
            "o.csv",
            "kind,owner\nplaces,P1\nplace\nplace,\nplace,P1\n",
            [
                f"o.csv:2:1: the kind 'places'; expected one of {KINDS} (did you mean 'place'?)",
                "o.csv:3:1: 1 columns; expected two, kind and owner",
                "o.csv:4:7: no owner; expected a name",
            ],
        ),
        ("o.csv", b"kind,owner\nplace,\xff\n", ["o.csv:2:1: the byte 0xff is not UTF-8; expected UTF-8 text"]),
        (
            "o.yaml",
            "place: []\n",
            ["o.yaml: it contains no owner; expected at least one (start with 'place: [Place1]')"],
        ),
        ("o.yaml", "- Place1\n", ["o.yaml:1:1: a list; expected a mapping from kind to owners"]),
        (
            "o.yaml",
            "plaice: [a]\nplace: P1\nuser: [u, 12, '']\n",
            [
                f"o.yaml:1:1: the key 'plaice'; expected one of {KINDS} (did you mean 'place'?)",
                "o.yaml:2:8: the text 'P1'; expected a list of names",
                "o.yaml:3:11: the number 12; expected a name (quote it)",
                "o.yaml:3:15: the text ''; expected a name (quote it)",
            ],
        ),
    ],
)
def test_an_invalid_file_is_refused_with_all_problems(
    name: str, text: str | bytes, sentences: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(FileInvalid) as refused:
        read_owners([name])
    assert [str(problem) for problem in refused.value.problems] == sentences


def test_each_kind_of_the_mix_needs_an_owner():
    owners = read_owners(["place=P1"])
    owners.check(parse_mix("agent=50,place=50"))
    with pytest.raises(OptionInvalid) as refused:
        owners.check(parse_mix("place=50,agent-group=50"))
    assert str(refused.value) == (
        "--reel-owners: the mix has agent-group, but no owner of this kind is given; "
        "expected at least one, such as agent-group=AgentGroup{1..10}"
    )
