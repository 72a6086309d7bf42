"""The stub servers of others, each with its own simplest stub of the same POST: what the fast door must be ahead of.

WireMock, mountebank and Mockoon come from npm (`benchmarks/node`, installed by `make bench`); the first needs a Java
runtime. Each answers the constant reply of one workbin POST; request journals and logs are off, connections kept alive.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks.processes import Server, running

__all__ = ["PATH", "REPLY", "STUBS", "free_port", "missing"]

PATH = "/api/v2/workbins"
REPLY = '{"statusCode":0,"referenceId":67}'
_JSON = "application/json;charset=UTF-8"
_MODULES = Path(__file__).parent / "node" / "node_modules"


def missing() -> list[str]:
    """Which stub servers can't be started here, each with what it lacks."""
    lacks = [f"npm package {name}" for name in ("wiremock", "@mbtest/mountebank", "@mockoon/cli")]
    absent = [name for name in lacks if not (_MODULES / name.split(" ")[-1] / "package.json").is_file()]
    return [*absent, *(f"the program {name}" for name in ("node", "java") if shutil.which(name) is None)]


@contextmanager
def wiremock(folder: Path) -> Iterator[Server]:
    """Run WireMock 3 with one mapping."""
    reply = {"status": 200, "headers": {"Content-Type": _JSON}, "body": REPLY}
    mappings = folder / "wiremock" / "mappings"
    mappings.mkdir(parents=True)
    asked = {"method": "POST", "urlPath": PATH}
    (mappings / "stub.json").write_text(json.dumps({"request": asked, "response": reply}))
    (jar,) = (_MODULES / "wiremock" / "build").glob("wiremock-standalone-*.jar")
    command = ["java", "-jar", str(jar), "--port", "0", "--bind-address", "127.0.0.1", "--no-request-journal"]
    command += ["--root-dir", str(mappings.parent), "--disable-gzip"]
    with running(command, folder / "wiremock.log", r"port: +(\d+)") as server:
        yield server


@contextmanager
def mountebank(folder: Path) -> Iterator[Server]:
    """Run mountebank with one imposter; without the header it would close each connection."""
    reply = {"statusCode": 200, "headers": {"Content-Type": _JSON, "Connection": "keep-alive"}, "body": REPLY}
    stub = {"predicates": [{"equals": {"method": "POST", "path": PATH}}], "responses": [{"is": reply}]}
    imposter = {"port": free_port(), "host": "127.0.0.1", "protocol": "http", "stubs": [stub]}
    config = folder / "mountebank.json"
    config.write_text(json.dumps({"imposters": [imposter]}))
    command = [str(_MODULES / ".bin" / "mb"), "start", "--host", "127.0.0.1", "--port", str(free_port())]
    command += ["--configfile", str(config), "--nologfile", "--loglevel", "info"]
    with running(command, folder / "mountebank.log", r"\[http:(\d+)\] Open for business") as server:
        yield server


@contextmanager
def mockoon(folder: Path) -> Iterator[Server]:
    """Run Mockoon's command line with one route; it repairs what this short data file leaves out."""
    reply = {
        "uuid": "reply",
        "body": REPLY,
        "statusCode": 200,
        "headers": [{"key": "Content-Type", "value": _JSON}],
        "disableTemplating": True,
        "default": True,
    }
    route = {"uuid": "route", "type": "http", "method": "post", "endpoint": PATH.lstrip("/"), "responses": [reply]}
    data = folder / "mockoon.json"
    children = [{"type": "route", "uuid": "route"}]
    data.write_text(json.dumps({"name": "stub", "rootChildren": children, "routes": [route]}))
    command = [str(_MODULES / ".bin" / "mockoon-cli"), "start", "--data", str(data), "--repair"]
    command += ["--hostname", "127.0.0.1", "--port", str(free_port()), "--disable-log-to-file", "--disable-admin-api"]
    with running(command, folder / "mockoon.log", r"Server started on port (\d+)") as server:
        yield server


def free_port() -> int:
    """A port that was free a moment ago: these two take a number, and not 0."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


STUBS: Final[Mapping[str, Callable[[Path], AbstractContextManager[Server]]]] = MappingProxyType(
    {"WireMock": wiremock, "mountebank": mountebank, "Mockoon": mockoon}
)
"""Each stub server by name: given a folder for its files, it runs until the block ends."""
