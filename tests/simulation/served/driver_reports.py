"""Reports each call of the driver to the test that started this server, so that the test needs no sleep.

`received 7` means that request 7 has reached the engine; `frame 7`, `written 7` and `gone 7` likewise. The environment
variable `DRIVER_REPORTS` names the pipe. Nothing else is changed: the server, its sockets and its driver are the real
ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from cometreel.engine.driver import Driver

__all__ = ["VARIABLE", "report_to_environment", "reporting_methods"]

VARIABLE = "DRIVER_REPORTS"
"""The environment variable with the path of the pipe."""

DriverMethod: TypeAlias = Callable[..., Any]
_REPORTED = {"begin": "received", "open_for": "received", "frame": "frame", "written": "written", "hung_up": "gone"}


def reporting_methods(pipe: int) -> Iterator[tuple[str, DriverMethod]]:
    """Yield the names of methods of `Driver`, and methods that do the same and write a line to a pipe afterwards."""

    def reporting(method: DriverMethod, report: str) -> DriverMethod:
        def call(self: Driver, request: Any, *more: Any) -> Any:
            try:
                return method(self, request, *more)
            finally:
                number = request if isinstance(request, int) else request.id
                os.write(pipe, f"{report} {number}\n".encode())

        return call

    for name, report in _REPORTED.items():
        yield name, reporting(getattr(Driver, name), report)


def report_to_environment() -> None:
    """Let all drivers of this process write to the pipe that the environment names."""
    for name, method in reporting_methods(os.open(os.environ[VARIABLE], os.O_WRONLY)):
        setattr(Driver, name, method)
