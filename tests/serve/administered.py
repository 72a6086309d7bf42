"""A served replay with its admin API, and who talks to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from cometreel.engine import ReplaySettings
from cometreel.scenario import loads
from cometreel.serve import Door, Served, playing, serve_in_thread
from cometreel.serve.admin import admin_behind
from cometreel.serve.admin_gate import Gate, Peers
from tests.serve.conftest import PATIENCE, SCENARIO

TOKEN = "the-token-of-these-tests"


@dataclass(frozen=True)
class Administered:
    """A server, and two clients: one of the application, one of the admin API."""

    served: Served[Door]
    app: httpx.Client
    admin: httpx.Client

    def get(self, path: str) -> Any:
        """What the API tells, as JSON."""
        reply = self.admin.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()


@contextmanager
def administered(text: str = SCENARIO, peers: Peers = "loopback", **settings: Any) -> Iterator[Administered]:
    """Serve a scenario in this process, with its admin API."""
    given = ReplaySettings().under(settings)
    opening = playing(loads(text, "test.yaml"), given, admin=admin_behind(Gate(TOKEN, peers)))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    with (
        serve_in_thread(opening) as served,
        httpx.Client(base_url=served.url, timeout=PATIENCE, trust_env=False) as app,
        httpx.Client(base_url=f"{served.url}/__reel__", headers=bearer, timeout=PATIENCE, trust_env=False) as admin,
    ):
        yield Administered(served, app, admin)
