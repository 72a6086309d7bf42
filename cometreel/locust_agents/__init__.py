"""Locust agents, the machinery behind `loadtests/`, on gevent: event loop, connections, transports, worker, coordinator."""

from __future__ import annotations

__all__: list[str] = []
