"""The wheel contains the addons, profiles, policies and scenarios, and they work.

The wheel is built from the sdist, so that nothing can be missing from either. It is installed into a fresh
environment that sees this one's third-party packages, but not this checkout.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAPPED = ("proxy_addons", "loadtests", "scenarios")


def _run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="session")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a fresh environment with the wheel in it."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    (wheel,) = distributions.glob("*.whl")
    _run(sys.executable, "-m", "pip", f"--python={python}", "install", "-q", "--no-deps", "--no-index", wheel, cwd=home)
    site = Path(_run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    (site / "third_party.pth").write_text(sysconfig.get_path("purelib"))  # its own .pth files are not followed
    return python.parent


def _expected() -> set[str]:
    """Return every source and data file, as named inside the package."""
    kept = {path.relative_to(ROOT) for path in (ROOT / "cometreel").rglob("*") if path.suffix in DATA}
    mapped = {path for folder in MAPPED for path in (ROOT / folder).glob("*") if path.suffix in DATA}
    return {str(path) for path in kept} | {str("cometreel" / path.relative_to(ROOT)) for path in mapped}


DATA = {".py", ".yaml", ".json", ".typed", ".html", ".css", ".js", ".j2", ".txt"}


def test_the_wheel_holds_every_file(distributions: Path):
    (wheel,) = distributions.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if not name.split("/")[0].endswith(".dist-info")} == _expected()


def test_the_wheel_is_pure_python(distributions: Path):
    (wheel,) = distributions.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_holds_every_file(distributions: Path):
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    inside = {name.removeprefix("cometreel/") if name.startswith(_MAPPED_INSIDE) else name for name in _expected()}
    assert inside | {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"} <= names


_MAPPED_INSIDE = tuple(f"cometreel/{folder}/" for folder in MAPPED)


def test_the_checkout_is_not_what_is_tested(installed: Path):
    where = _run(installed / "python", "-c", "import cometreel; print(cometreel.__file__)", cwd=installed)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_mitmproxy_and_locust_load_the_addons_at_the_printed_paths(installed: Path):
    load = "import sys; from mitmproxy.addons.script import load_script; print(len(load_script(sys.argv[1]).addons))"
    lines = _run(installed / "cometreel", "addons", cwd=installed).splitlines()
    paths = {name: Path(path) for name, path in (line.split(maxsplit=1) for line in lines)}
    assert all(path.is_relative_to(installed.parent) for path in paths.values())
    assert list(paths) == ["bayeux_view", "record", "replay", "agent_stats", "from_scenario", "scenarios"]
    assert (paths["scenarios"] / "request_agent_stats.yaml").is_file()
    for addon in ("bayeux_view", "record", "replay"):
        assert int(_run(installed / "python", "-c", load, paths[addon], cwd=installed)) > 0
    for locustfile in ("agent_stats", "from_scenario"):
        listed = _run(installed / "python", "-m", "locust", "-f", paths[locustfile], "--list", cwd=installed)
        assert "Desktop" in listed


def test_the_data_files_are_found(installed: Path):
    assert _run(installed / "cometreel", "schema", cwd=installed).startswith("{")
    ask = "from cometreel.scenario import profile; print(profile('gws-v2').name)"
    assert _run(installed / "python", "-c", ask, cwd=installed) == "gws-v2\n"


def test_a_page_is_drawn_from_what_was_installed(installed: Path, tmp_path: Path):
    sample, page = ROOT / "recordings" / "workbin-desktop.jsonl", tmp_path / "page.html"
    assert _run(installed / "cometreel", "show", sample, "-o", page, cwd=installed) == f"{page}\n"
    assert page.read_text("utf-8").startswith("<!doctype html><!-- drawn by cometreel show -->\n")
