"""The page on load reports and the package docstring: examples are valid, and every word is explained."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

import cometreel.load
from cometreel.load import COUNTED, OwnerKind, Rate, parse_limit, parse_mix, parse_rate, read_owners

PAGE = (Path(__file__).parents[3] / "docs" / "load-report.md").read_text()
EXAMPLES = re.findall(r"^\| `--reel-(\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
LIMITS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()


def test_each_option_has_an_example():
    assert [option for option, _ in EXAMPLES] == ["mix", *["owners"] * 3, *["rate"] * 5]


@pytest.mark.parametrize(("option", "text"), EXAMPLES)
def test_every_example_is_valid(option: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("owners.csv").write_text("kind,owner\nplace,Place1\n")
    if option == "mix":
        assert str(parse_mix(text)) == text
    elif option == "owners":
        assert len(read_owners([text]).of(OwnerKind.PLACE)) in ({200} if "{" in text else {0, 1})
    else:
        assert isinstance(parse_rate(text), Rate)


@pytest.mark.parametrize("text", LIMITS)
def test_every_limit_of_the_page_is_valid(text: str):
    assert parse_limit(text).text == text


def test_every_counted_word_is_explained():
    words = re.findall(r"^\| `([^`]+)` \| ", PAGE, re.MULTILINE)
    assert set(COUNTED) <= set(words)


def test_the_example_of_the_package_runs():
    doc = cometreel.load.__doc__ or ""
    example = textwrap.dedent("\n".join(line for line in doc.splitlines() if line.startswith("    ")))
    names = {**vars(cometreel.load), "began": 100.0, "now": 101.0, "own_id": "f1a3"}
    names["state_of_another_worker"] = cometreel.load.Tally("worker-2").state()
    exec(example, names)  # our own docstring
    total = names["total"]
    assert isinstance(total, cometreel.load.Tally)
    sent = [row.sent for row in total.entries.values()]
    assert sum(sent) > 1
    assert sum(row.answered for row in total.entries.values()) == 1
