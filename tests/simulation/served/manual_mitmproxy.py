"""A mitmproxy addon, to be loaded before `proxy_addons/replay.py`: its replay gets a manual clock and an admin API.

The replay addon has neither. Its driver, its translation of flows and mitmproxy itself are the real ones. The admin API
listens on a port of its own, which is printed.
"""

from __future__ import annotations

import os

from starlette.types import ASGIApp

from cometreel.engine import Backend
from cometreel.engine.clock_control import ClockControl
from cometreel.engine.driver import Driver
from cometreel.mitmproxy_support import replay_run
from cometreel.serve import HttpListener, ListenOptions
from cometreel.serve.admin.auth import AdminAuth, token_from
from cometreel.serve.admin.on_demand import admin_factory
from tests.simulation.served.driver_reports import report_to_environment

_drivers: list[Driver] = []


class ManualDriver(Driver):
    """A driver with a manual clock."""

    def __init__(self, engine: Backend) -> None:
        super().__init__(engine, manual_clock=True)
        _drivers.append(self)


class AdminPort:
    """Opens the port of the admin API when mitmproxy runs."""

    async def running(self) -> None:
        """Print the URL of the admin API."""
        listener = HttpListener(ListenOptions())
        await listener.open(_admin_of(_drivers[-1]))
        print(f"admin API at {listener.url}", flush=True)


def _admin_of(driver: Driver) -> ASGIApp:
    assert isinstance(driver.engine, Backend)
    clock = ClockControl(driver.engine, driver)
    return admin_factory(AdminAuth(token_from(os.environ)))(driver, driver.engine, clock)


vars(replay_run)["Driver"] = ManualDriver  # the replay addon creates its driver there
report_to_environment()
addons = [AdminPort()]
