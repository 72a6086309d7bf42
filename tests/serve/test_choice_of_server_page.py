"""The figures of the page on servers can be measured again."""

from __future__ import annotations

import re
import subprocess
import sys

from demo.peers import ROOT


def test_the_command_of_the_page_names_a_bench_that_is_there():
    page = (ROOT / "docs" / "choice-of-server.md").read_text()
    (command,) = re.findall(r"^\$ python -m benchmarks (\w+)$", page, re.MULTILINE)
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert command in re.split(r"\W+", ran.stdout)
