"""`make load` runs to its end."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.load.conftest import ROOT


def test_make_load_loses_nothing_and_writes_a_report():
    ended = subprocess.run(
        [sys.executable, "-m", "demo.load"], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"^passed  lost == 0 +0$", ended.stdout, re.MULTILINE)
    (path,) = [line.removeprefix("report: ") for line in ended.stdout.splitlines() if line.startswith("report: ")]
    page = Path(path).read_text()
    for kind in ("Agent", "Place", "AgentGroup", "PlaceGroup", "User"):
        assert f"RequestAgentStats {kind}" in page
