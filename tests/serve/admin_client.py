"""A replay with its admin API, and clients for both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from cometreel.engine import ReplaySettings
from cometreel.engine.clock_control import ClockKind
from cometreel.scenario import loads
from cometreel.serve import BackgroundServer, ReplayApp, replay_app, serve_in_background
from cometreel.serve.admin.auth import AdminAuth, Peers
from cometreel.serve.admin.on_demand import admin_factory
from tests.serve.conftest import PATIENCE, SCENARIO

TOKEN = "the-token-of-these-tests"


@dataclass(frozen=True)
class Administered:
    """A server, and two clients: one of the application, one of the admin API."""

    served: BackgroundServer[ReplayApp]
    app: httpx.Client
    admin: httpx.Client

    def get(self, path: str) -> Any:
        """Return the JSON of a path."""
        reply = self.admin.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()


@contextmanager
def administered(
    text: str = SCENARIO, peers: Peers = "loopback", clock: ClockKind = "real", **settings: Any
) -> Iterator[Administered]:
    """Serve a scenario in this process, with its admin API."""
    given = ReplaySettings().under(settings)
    opening = replay_app(loads(text, "test.yaml"), given, admin=admin_factory(AdminAuth(TOKEN, peers)), clock=clock)
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serve_in_background(opening) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE, trust_env=False) as app,
        httpx.Client(base_url=f"{served.url}/__reel__", headers=bearer, timeout=PATIENCE, trust_env=False) as admin,
    ):
        yield Administered(served, app, admin)
