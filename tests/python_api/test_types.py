"""Type checkers accept scenarios that are written in Python, and report misspelt arguments and wrong types."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, ROOT, File, steps

EXAMPLES = ["in_python.py", "misspelt.py", "derived.py", "adding.py"]
"""The files of docs/python.md that write scenarios."""

RIGHT = """
from collections import OrderedDict
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from cometreel import (
    ExchangeBlock, Scenario, bind, event, exchange, fault, get, markers, post, publish, reply, request, role,
    timeline_entry, when,
)

owner: dict[str, str] = {"workbinOwner": "Place1"}
places: list[str] = ["a", "b"]
mixed: dict[str, Any] = {"id": 1, "names": ["a"]}


def stats(place: str) -> ExchangeBlock:
    return exchange(
        f"stats of {place}",
        post("/api/v2/workbins", body={"operationName": "RequestAgentStats", **owner, "at": markers.capture("place")}),
        reply=reply({"statusCode": 0, "referenceId": 67}, after="34ms", status=HTTPStatus.OK),
        events=[
            event("/v2/me/workbins", {"places": places, "of": markers.template("{{ place }}")}),
            event("/v2/me/workbins", after=timedelta(milliseconds=120), count=markers.template("{{ 2 }}")),
            event(disconnect=True),
        ],
    )


marked = [
    get(["api", "v2", markers.any("string")], query={"a": ["b", markers.regex("c")], "d": "e"}),
    post("/a", form=markers.partial({"a": markers.csv("a", markers.any())})),
    post("/a", headers={"A": markers.csv("a", markers.id("x"))}, text=markers.file("a.txt")),
    post("/a", body=markers.one_of(None, {"a": markers.partial({"b": 1})}), authenticated=False),
    request("OPTIONS", markers.regex("^/a"), base64=b"a"),
    post("/a", body=mixed),
]
sent = [
    reply(markers.entries((markers.template("{{ ref }}"), [1]), ("a", None)), headers={"A": ["b"], "C": None}),
    reply({"a": markers.csv("b", markers.template("{{ ref }}")), "c": markers.id("d")}),
    reply(OrderedDict(a=(1, 2))),
    reply(markers.literal({"$ref": 1})),
    reply(mixed, text=None),
]
chat = exchange(
    "chat", publish("/chat", {"text": markers.any("string")}), reply=reply(error="403::no"), when=when(after=["a"])
)
scenario = Scenario(
    title="t",
    source={"recorded": datetime.now(), "upstream": "gws"},
    bayeux={"endpoint": "/cometd", "advice": {"timeout": 30000}, "max_interval": timedelta(seconds=5)},
    session={"cookie": "none", "bind": [bind("$response.body#/id", "$request.query.id")]},
    settings={"seed": 7, "speed": 0},
    correlation={"extends": "gws-v2", "fallback": [{"message": {"/a": 1}, "event": "/a", "request": "path-tail"}]},
    roles={"agent-1": role("a", id="1")},
    exchanges=[*map(stats, places), chat],
    timeline=[timeline_entry("/a", None, since={"subscribe": "/v2/me/*"}, until=["chat", "disconnect"], as_="agent-1")],
    faults=[fault("chat", status=503, body={"a": 1}, nth=2), fault(meta="/meta/connect", error="402::Unknown client")],
    custom={"x-ticket": "ABC-1"},
)
text: str = Scenario.loads(scenario.dump()).dump()
loaded = Scenario.load("a.yaml", "folder")
derived = Scenario(bayeux=loaded.bayeux, settings=loaded.settings, exchanges=loaded.exchanges)
"""

WRONG = """
from cometreel import Scenario, event, exchange, fault, get, markers, post, reply, timeline_entry
exchange("a", get("/"), evnts=[])  # call-arg
exchange("a", "GET /")  # arg-type
post("/", body=object())  # arg-type
post("/", body={"a": markers.template("{{ x }}")})  # dict-item
post(markers.template("{{ x }}"))  # arg-type
reply({"a": markers.any("string")})  # dict-item
reply(markers.capture("a"))  # arg-type
reply(status="200")  # arg-type
event("/a", after=5)  # arg-type
timeline_entry("/a", since={"subscribed": "/a"})  # dict-item
markers.any("strin")  # arg-type
fault("a", drop_events=True)  # call-arg
fault(meta="/meta/conect", broken=True)  # arg-type
exchange("a", get("/"), repeat="never")  # arg-type
Scenario(exchnages=[])  # call-arg
Scenario(exchanges=[get("/")])  # list-item
Scenario(bayeux={"endpont": "/"})  # arg-type
Scenario(settings={"speed": "fast"})  # arg-type
Scenario(session={"anonymous": "all"})  # arg-type
Scenario(cometreel=2)  # arg-type
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what mypy prints for all files, checked without the configuration of this project."""
    folder = tmp_path_factory.mktemp("typed")
    page = (DOCS / "python.md").read_text("utf-8")
    files = {step.name: step.text for step in steps(page) if isinstance(step, File)}
    for name, text in {"right.py": RIGHT, "wrong.py": WRONG, **{name: files[name] for name in EXAMPLES}}.items():
        (folder / name).write_text(text)
    options = ["--strict", "--config-file=", "--hide-error-context", "--no-color-output", "--no-error-summary"]
    paths = ["right.py", "wrong.py", *EXAMPLES]
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=silent", *options, *paths],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    return [line for line in ended.stdout.splitlines() if ": note: " not in line]


@pytest.mark.parametrize("name", ["right.py", *EXAMPLES])
def test_mypy_accepts_scenarios_in_python(printed: list[str], name: str):
    assert [line for line in printed if line.startswith(f"{name}:")] == []


def test_mypy_reports_misspelt_arguments_and_wrong_types(printed: list[str]):
    found = [(int(line.split(":")[1]), line.rpartition("[")[2].rstrip("]")) for line in printed if "wrong.py" in line]
    expected = [
        (number, line.partition("  # ")[2]) for number, line in enumerate(WRONG.splitlines(), 1) if "  # " in line
    ]
    assert found == expected


def test_the_examples_are_those_of_the_page():
    names = [step.name for step in steps((DOCS / "python.md").read_text("utf-8")) if isinstance(step, File)]
    assert [name for name in names if name in EXAMPLES] == EXAMPLES
