"""The table of extras: equal to setup.cfg, and one error for every missing extra."""

from __future__ import annotations

import configparser
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cometreel.errors import CometreelError, ExtraMissing
from cometreel.extras import EXTRAS, install_command, missing_distributions, require_extra
from tests.base_install import needs_extra

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def declared() -> dict[str, list[str]]:
    """The requirements of each extra in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    return {
        name: [line for line in text.splitlines() if line and not line.startswith("#")]
        for name, text in config["options.extras_require"].items()
    }


@pytest.mark.parametrize("name", EXTRAS)
def test_an_extra_has_the_distributions_of_setup_cfg(name: str, declared: dict[str, list[str]]):
    assert sorted(EXTRAS[name].modules) == sorted(Requirement(line).name for line in declared[name])


def test_all_is_the_sum_of_the_extras(declared: dict[str, list[str]]):
    (line,) = declared["all"]
    assert Requirement(line).extras == {*EXTRAS}
    assert {*declared} == {*EXTRAS, "all", "dev", "docs"}


def test_the_readme_describes_every_extra():
    text = (ROOT / "README.md").read_text("utf-8").partition("## Installation")[2].partition("\n## ")[0]
    assert [name for name in EXTRAS if f"`{name}`" not in text] == []


def test_every_module_of_an_extra_is_found_here():
    """No test is skipped for a missing extra; `nox -s base` deselects this one."""
    assert [name for name in EXTRAS if missing_distributions(name)] == []
    for name in EXTRAS:
        require_extra(name, "a test")


@needs_extra("verify")
def test_a_missing_distribution_is_named_with_the_pip_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "deepdiff", None)
    with pytest.raises(ExtraMissing) as raised:
        require_extra("verify", "cometreel verify")
    assert str(raised.value) == "cometreel verify needs deepdiff; install it: pip install 'cometreel[verify]'"
    assert (raised.value.extra, raised.value.distributions) == ("verify", ("deepdiff",))
    assert isinstance(raised.value, CometreelError)


def test_several_missing_distributions_are_all_named(monkeypatch: pytest.MonkeyPatch):
    for module in ("httpx", "deepdiff"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissing, match=re.escape("needs httpx and deepdiff; install them: pip")):
        require_extra("verify", "cometreel verify")


def test_the_pip_command_is_quoted_for_the_shell():
    assert install_command("load") == "pip install 'cometreel[load]'"
