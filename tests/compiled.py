"""Builds the compiled engine into `build/compiled` and runs its tests there; the installation is not changed.

`python -m tests.compiled` runs the tests of the compiled modules and the golden cases; arguments are passed to pytest
instead of these tests. `COMETREEL_COMPILED` names a folder with a compiled engine, which is used instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.engine_forms import COMPILED, LEVEL_FILE, ROOT

TESTS = (
    "tests/unit/engine",
    "tests/unit/bayeux",
    "tests/unit/scenario",
    "tests/unit/base/test_bounded_cache.py",
    "tests/unit/base/test_http_fields.py",
    "tests/unit/base/test_identity.py",
    "tests/unit/base/test_value_copies.py",
    "tests/unit/base/test_wire.py",
    "tests/unit/load",
    "tests/unit/locust_agents",
    "tests/unit/cli/test_doctor.py::test_the_running_engine_is_shown",
    "tests/unit/cli/test_main.py::test_version",
    "tests/golden/test_engine.py",
    "tests/golden/test_http.py",
    "tests/serve/test_both_paths.py",
    "tests/serve/test_reply_parts.py",
    "tests/simulation/test_equal_bytes.py",
    "tests/simulation/test_real_servers.py::test_a_server_sends_the_bytes_of_the_engine",
)
PURE = {
    "tests/unit/engine/test_session_identity.py::test_a_token_is_nowhere_in_the_state_of_the_engine": (
        "it searches the attributes of all objects through `__dict__`, which compiled objects don't have"
    ),
    "tests/python_api/test_public_names.py::test_every_public_class_and_function_has_a_docstring": (
        "compiled classes have no docstrings"
    ),
    "tests/docs/test_site.py::test_a_generated_page_is_current[python-reference.md]": (
        "compiled classes have no docstrings"
    ),
    "tests/docs/test_pages.py::test_each_command_prints_what_is_shown[python.md]": (
        "PYTHONSAFEPATH hides the modules in the current folder, which the page imports"
    ),
    "tests/packaging/test_distributions.py": "it tests another installation, which PYTHONPATH hides",
    "tests/simulation/test_planted_faults.py": "it replaces functions, which compiled code calls directly",
    "tests/simulation/test_simulation.py::test_the_command_prints_a_failing_seed_as_a_test": (
        "it replaces functions, which compiled code calls directly"
    ),
    "tests/unit/cli/test_addons.py::test_with_a_name_only_its_path_is_printed": (
        "the compiled engine is not an editable installation, whose addons are those of the sources"
    ),
    "tests/simulation/test_load_ledger.py::test_a_planted_fault_is_noticed": (
        "it replaces functions, which compiled code calls directly"
    ),
    "tests/simulation/test_load_ledger.py::test_a_planted_fault_is_shown_by_a_test_of_at_most_ten_steps": (
        "it replaces functions, which compiled code calls directly"
    ),
    "tests/simulation/test_load_ledger.py::test_the_command_prints_the_first_seed_that_fails_as_a_test": (
        "it replaces functions, which compiled code calls directly"
    ),
    "tests/serve/test_trace_post.py": "it counts the files of Python functions that a request passes through",
}
"""The tests that can't run with the compiled engine, with the reason."""


def build() -> None:
    """Compile the engine into an empty folder, without optimisation, which halves the time."""
    shutil.rmtree(COMPILED, ignore_errors=True)
    folders = ["--build-base", str(ROOT / "build" / "objects"), "--build-lib", str(COMPILED)]
    level = os.environ.get("COMETREEL_OPTIMIZE", "0")
    environment = {**os.environ, "COMETREEL_COMPILE": "1", "COMETREEL_OPTIMIZE": level}
    subprocess.run([sys.executable, "setup.py", "--quiet", "build", *folders], cwd=ROOT, env=environment, check=True)
    (COMPILED / LEVEL_FILE).write_text(level)


def main() -> int:
    """Build, run the tests, and return pytest's exit code."""
    folder = os.environ.get("COMETREEL_COMPILED")
    if folder is None:
        build()
    compiled = COMPILED if folder is None else Path(folder).resolve()
    path = os.pathsep.join([str(compiled), str(ROOT)])
    # programs that tests start in the folder of the sources import the compiled modules too
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    shown = [sys.executable, "-c", "from cometreel.cli.engine_form import engine_form; print(engine_form())"]
    form = subprocess.run(shown, cwd=compiled, env=environment, check=True, capture_output=True, text=True).stdout
    assert form == "compiled\n", form
    left_out = [f"--deselect={name}" for name in PURE]
    tests = sys.argv[1:] or ["-q", "-n", "2", *TESTS]
    command = [sys.executable, "-m", "pytest", "-o", f"pythonpath={compiled} .", *left_out, *tests]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
