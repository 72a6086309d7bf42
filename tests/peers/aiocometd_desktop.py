"""A workbin desktop on `aiocometd-ng`: runs the workload and prints each reply and message as one line of JSON.

    python aiocometd_desktop.py BASE-URL USER PASSWORD WORKLOAD.json

The base URL must have a host name, because the cookie jar of aiohttp keeps no cookies of numeric addresses.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any, TypeAlias

import aiohttp
from aiocometd_ng import AuthExtension, Client, ConnectionType
from yarl import URL

Json: TypeAlias = dict[str, Any]  # any JSON: the program only prints it

PATIENCE = 15.0
"""Seconds for each step."""


def print_event(**event: object) -> None:
    print(json.dumps(event, separators=(",", ":")), flush=True)


class SameSession(AuthExtension):
    """Adds the cookies of the REST calls to every Bayeux request, as a browser does."""

    def __init__(self, jar: aiohttp.abc.AbstractCookieJar, base: str) -> None:
        self.jar, self.base = jar, URL(base)

    async def outgoing(self, _payload: list[Json], headers: Json) -> None:
        kept: SimpleCookie = SimpleCookie()
        for name, morsel in self.jar.filter_cookies(self.base / "api" / "v2").items():
            kept[name] = morsel.value
        headers["Cookie"] = kept.output(header="", sep=";").strip()

    async def incoming(self, payload: list[Json], headers: Json | None = None) -> None:
        """Do nothing."""

    async def authenticate(self) -> None:
        """Do nothing: the HTTP session is logged in."""


class Desktop:
    """The desktop of one agent."""

    def __init__(self, base: str, user: str, password: str, rest: aiohttp.ClientSession) -> None:
        self.base = base
        self.basic = {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
        self.rest = rest
        self.csrf: dict[str, str] = {}
        self.sent = 0
        self.at_once: dict[str, str] = {}  # set during concurrent requests, whose messages have no fixed order
        self.arrived = 0
        self.expected = 0
        self.changed = asyncio.Condition()
        self.cometd = Client(
            f"{base}/api/v2/notifications",
            [ConnectionType.LONG_POLLING],
            connection_timeout=0,  # its detection of lost connections fails on current asyncio
            extensions=[],
            auth=SameSession(rest.cookie_jar, base),
        )
        self.listener: asyncio.Task[None] | None = None

    async def run(self, steps: list[Json]) -> None:
        for step in steps:
            self.expected += step.get("messages", 0)
            self.at_once = {"atOnce": step["step"]} if "together" in step else {}
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(self.perform(step), self.await_messages())

    async def perform(self, step: Json) -> None:
        if "handshake" in step:
            await self.cometd.open()
            print_event(saw="meta", channel="/meta/handshake", successful=True)
            self.listener = asyncio.create_task(self.listen())
        for topic in step.get("subscribe", []):
            await self.cometd.subscribe(topic)
            print_event(saw="meta", channel="/meta/subscribe", subscription=topic, successful=True)
        if "disconnect" in step:
            await self.cometd.close()
            print_event(saw="meta", channel="/meta/disconnect", successful=True)
        requests = step.get("together", [step] if step.keys() & {"get", "post"} else [])
        await asyncio.gather(*map(self.send_request, requests))

    async def send_request(self, step: Json) -> None:
        self.sent += 1
        number = self.sent
        method = "POST" if "post" in step else "GET"
        async with self.rest.request(
            method,
            URL(self.base + (step.get("post") or step["get"]), encoded=True),
            json=step.get("body"),
            headers=({} if step.get("anonymous") else self.basic) | (self.csrf if method == "POST" else {}),
        ) as reply:
            body = await (reply.json() if reply.content_type == "application/json" else reply.text())
            if name := reply.headers.get("X-CSRF-HEADER"):
                self.csrf = {name: reply.headers[name]}
        print_event(saw="reply", sent=number, step=step["step"], status=reply.status, body=body)

    async def listen(self) -> None:
        async for message in self.cometd:
            print_event(saw="message", channel=message["channel"], data=message["data"], **self.at_once)
            async with self.changed:
                self.arrived += 1
                self.changed.notify_all()

    async def await_messages(self) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: self.arrived >= self.expected)


async def main(base: str, user: str, password: str, steps: list[Json]) -> None:
    async with aiohttp.ClientSession() as rest:
        desktop = Desktop(base, user, password, rest)
        try:
            await desktop.run(steps)
        except TimeoutError:
            sys.exit(f"desktop: timeout after {PATIENCE} s; {desktop.arrived} of {desktop.expected} messages received")
        finally:
            await desktop.cometd.close()
            if desktop.listener is not None:
                desktop.listener.cancel()


if __name__ == "__main__":
    base_url, user_name, secret, workload = sys.argv[1:]
    asyncio.run(main(base_url, user_name, secret, json.loads(Path(workload).read_text())))
