"""Import of files that a real mitmdump wrote: the same scenario as a recording, except for the times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cometreel.cli import ExitCode, run
from cometreel.scenario import dump, parse

SECRETS = ("archer-secret", "YW5uLmFyY2hlcjphcmNoZXItc2VjcmV0")


def without_times(path: Path) -> str:
    """Return a scenario without its title, source and times."""
    file = parse(path).model_copy(update={"title": None, "source": None})
    return re.sub(r"after: \S+", "after: …", dump(file))


@pytest.mark.parametrize("name", ["flows.mitm", "dump.har"])
def test_the_imported_scenario_equals_the_recorded_one(
    dumped: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    original = (dumped / name).read_bytes()
    out = tmp_path / "imported.yaml"
    assert run(["import", str(dumped / name), "--url", "/api/v2/", "-o", str(out)]) == ExitCode.SUCCESS
    printed = capsys.readouterr()
    assert printed.out == f"{out}\n"
    assert printed.err.startswith("24 exchanges, 1 timeline entry, 1 session\n")
    assert without_times(out) == without_times(dumped / "live.yaml")
    assert (dumped / name).read_bytes() == original


@pytest.mark.parametrize("name", ["flows.mitm", "dump.har"])
def test_no_secret_is_written_to_the_journal_or_the_scenario(dumped: Path, name: str, tmp_path: Path):
    raw = (dumped / name).read_text("latin-1")
    cookies = set(re.findall(r"JSESSIONID=([0-9a-f]{32})", raw))
    assert cookies
    assert SECRETS[1] in raw
    arguments = ["import", str(dumped / name), "-o", str(tmp_path / "a.yaml"), "--journal", str(tmp_path / "a.jsonl")]
    assert run(arguments) == ExitCode.SUCCESS
    written = "".join(path.read_text() for path in tmp_path.glob("a.*"))
    assert [secret for secret in (*SECRETS, *cookies) if secret in written] == []


def test_a_truncated_flow_file_is_rejected_and_nothing_is_written(
    dumped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    cut = tmp_path / "cut.mitm"
    cut.write_bytes((dumped / "flows.mitm").read_bytes()[:-1])
    assert run(["import", str(cut), "--journal", str(tmp_path / "cut.jsonl")]) == ExitCode.ERROR
    flows = re.fullmatch(
        rf"cometreel: {re.escape(str(cut))}: flow (\d+): not a flow, or truncated; "
        r"expected a flow file written by `mitmdump -w`\n",
        capsys.readouterr().err,
    )
    assert flows is not None
    assert int(flows[1]) > 40
    assert list(tmp_path.iterdir()) == [cut]
