"""The command `cometreel`, whose driver reports its calls."""

from __future__ import annotations

from cometreel.cli.main import run
from tests.simulation.served.driver_reports import report_to_environment

if __name__ == "__main__":
    report_to_environment()
    run()
