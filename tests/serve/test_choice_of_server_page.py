"""The figures of the page about the choice of server can be measured again."""

from __future__ import annotations

import re
import subprocess
import sys

from demo.peers import ROOT


def test_the_benchmark_named_on_the_page_exists():
    page = (ROOT / "docs" / "choice-of-server.md").read_text()
    (command,) = re.findall(r"^\$ python -m benchmarks (\w+)$", page, re.MULTILINE)
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert command in re.split(r"\W+", ran.stdout)
