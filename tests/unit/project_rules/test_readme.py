"""README and docs name every command, option and package, and the README's example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cometreel.cli.main import COMMANDS
from cometreel.scenario import loads

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = "\n".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("record", "replay"))
_NAMES = re.compile(r'"(reel_[a-z]+)"[,:]')
ADDONS = [*(ROOT / "proxy_addons").glob("*.py"), *(ROOT / "cometreel/mitmproxy_support").glob("*.py")]
OPTIONS = sorted({name for path in ADDONS for name in _NAMES.findall(path.read_text())})


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_in_the_readme(name: str):
    assert re.search(rf"^\| `cometreel {name}\b", README, re.MULTILINE)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_of_the_addons_is_on_its_page(name: str):
    assert re.search(rf"^\| `{name}` \|", PAGES, re.MULTILINE)


@pytest.mark.parametrize("folder", ["cometreel", "tests"])
def test_contributing_describes_every_package(folder: str):
    packages = sorted(path.parent.name for path in (ROOT / folder).glob("*/*.py") if path.parent.name != "__pycache__")
    assert [name for name in dict.fromkeys(packages) if f"`{folder}/{name}/`" not in MAP] == []


def test_contributing_lists_every_module_outside_of_packages():
    (listed,) = re.findall(r"`cometreel/\{(.*?)\}\.py`", MAP)
    modules = [path.stem for path in (ROOT / "cometreel").glob("*.py") if not path.stem.startswith("__")]
    assert sorted(listed.split(",")) == sorted(modules)


def test_the_architecture_page_names_modules_that_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`([a-z_]+/[a-z_/]+)`", text)
    files = [(ROOT / "cometreel" / name) for name in named]
    assert [str(path) for path in files if not path.with_suffix(".py").exists() and not path.is_dir()] == []


def test_the_scenario_of_the_readme_loads():
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert [exchange.name for exchange in loads(text, "README.md").exchanges] == ["stats of place Place1"]


def test_links_inside_the_project_are_valid():
    pages = sorted(ROOT.glob("*.md"))
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())]
    assert [f"{page.name}: {link}" for page, link in links if not (page.parent / link).exists()] == []
