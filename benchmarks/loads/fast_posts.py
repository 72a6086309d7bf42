"""The POSTs alone with Locust's `FastHttpUser`: no CometD session, no poll, no notification."""

from __future__ import annotations

from locust import FastHttpUser, constant, task

from benchmarks.loads.measured import Measure

BODY = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}
Measure("POST")


class FastPoster(FastHttpUser):
    """One agent in a closed loop: it sends the next POST after the reply."""

    wait_time = constant(0)

    @task
    def send(self) -> None:
        """Send a POST."""
        self.client.post("/api/v2/workbins", json=BODY, name="ack")
