"""The same load with Locust's `FastHttpUser`: one greenlet for polls, one for POSTs, one client for both."""

from __future__ import annotations

import os
import ssl
import time
from typing import Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, constant, task
from locust.env import Environment

from benchmarks.loads.measured import Measure

PATH = "/api/v2/notifications"
IDLE = bool(os.environ.get("BENCH_IDLE"))


def unchecked() -> ssl.SSLContext:
    """Return a TLS context that accepts any certificate, as our agents do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class FastAgent(FastHttpUser):
    """One agent in a closed loop: it sends the next request after the notification."""

    wait_time = constant(0)
    ssl_context_factory = staticmethod(unchecked)
    concurrency = 2
    polling = 0

    def on_start(self) -> None:
        """Handshake, subscribe, poll."""
        self.early: dict[int, float] = {}
        self.awaited: dict[int, float] = {}
        self.answered = Event()
        reply = self.bayeux("handshake", channel="/meta/handshake", id="1", supportedConnectionTypes=["long-polling"])
        self.client_id = reply[0]["clientId"]
        self.bayeux("", channel="/meta/subscribe", id="2", clientId=self.client_id, subscription="/v2/me/workbins")
        self.poller = gevent.spawn(self.poll)

    def bayeux(self, suffix: str, **message: object) -> Any:
        """Send one message and return the replies."""
        with self.rest("POST", f"{PATH}/{suffix}", json=[message], name="poll") as reply:
            return reply.js

    def poll(self) -> None:
        """Keep a poll open, forever."""
        FastAgent.polling += 1
        number = 2
        while True:
            number += 1
            messages = self.bayeux(
                "connect",
                channel="/meta/connect",
                id=str(number),
                clientId=self.client_id,
                connectionType="long-polling",
            )
            for message in messages or []:
                if "data" in message:
                    self.notified(message["data"]["referenceId"], time.perf_counter())

    def notified(self, reference: int, now: float) -> None:
        """Match a notification with its POST, in either order."""
        begin = self.awaited.pop(reference, None)
        if begin is None:
            self.early[reference] = now
        else:
            self.done(begin, now)

    def done(self, begin: float, now: float) -> None:
        """Report a complete exchange to Locust."""
        self.environment.events.request.fire(
            request_type="notification",
            name="RequestAgentStats Place",
            response_time=(now - begin) * 1000,
            response_length=0,
            exception=None,
            context={},
        )
        self.answered.set()

    @task
    def send(self) -> None:
        """Send a POST and wait for the notification."""
        if IDLE:
            gevent.sleep(3600)
        self.answered.clear()
        begin = time.perf_counter()
        body = {"operationName": "RequestAgentStats", "workbinType": "Place", "workbinOwner": "Place1"}
        with self.rest("POST", "/api/v2/workbins", json=body, name="ack") as reply:
            reference = reply.js["referenceId"]
        now = self.early.pop(reference, None)
        if now is None:
            self.awaited[reference] = begin
            self.answered.wait()
        else:
            self.done(begin, now)


class MeasurePolling(Measure):
    """Starts to measure when each agent has an open poll."""

    def is_ready(self, environment: Environment) -> bool:
        """Return True if all agents have an open poll."""
        runner = environment.runner
        return runner is not None and 0 < runner.target_user_count <= FastAgent.polling


MeasurePolling("notification")
