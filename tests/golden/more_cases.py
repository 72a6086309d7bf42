"""Golden cases that are not in the published `matrix.py`: `python -m tests.golden.more_cases URL -o FILE`.

The arguments are those of `matrix.py`. `more-node-1.2.1.json` was recorded from `tests/peers/node/golden_server.js`.
No Java server was available: `more-java-3.1.json` contains the replies that follow from the source of CometD 3.1.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["MORE_CASES", "load_matrix"]

MATRIX = Path(__file__).with_name("matrix.py")


def http_empty_body(c: Any, matrix: ModuleType) -> None:
    """Send a POST with an empty body, with and without white space."""
    c.browser().post(raw="", label="empty body")
    c.browser().post(raw=" \r\n", label="white space")


def http_null_body(c: Any, matrix: ModuleType) -> None:
    """Send a POST with the body `null`."""
    c.browser().post(raw="null", label="null")


def http_jsonp_empty_message(c: Any, matrix: ModuleType) -> None:
    """Send a callback-polling request whose message is empty."""
    c.browser().post(method="GET", path="?jsonp=cb6&message=", label="empty message parameter")


def sub_number(c: Any, matrix: ModuleType) -> None:
    """Subscribe to a number, and unsubscribe from it."""
    b = c.browser().open()
    b.post([b.m_sub(5)], "subscribe 5")
    b.post([b.m_unsub(5)], "unsubscribe 5")
    b.drain("session still alive")


def sub_number_unknown_client(c: Any, matrix: ModuleType) -> None:
    """Subscribe to a number without a session."""
    c.browser().post([{"channel": "/meta/subscribe", "id": "1", "subscription": 5}], "subscribe 5, no clientId")


def pub_batch_two_receivers(c: Any, matrix: ModuleType) -> None:
    """Publish twice in one array, to two other clients that hold a poll."""
    a, b, d = (c.browser().open() for _ in range(3))
    b.sub("/room")
    d.sub("/room")
    p, q = b.hold("B: connect (held)"), d.hold("C: connect (held)")
    due = matrix.time.monotonic()
    a.post([a.m("/room", data=1), a.m("/room", data=2)], "A: two publishes in one array")
    p.wait(expect=due)
    q.wait(expect=due)
    b.drain("B: the second publish")
    d.drain("C: the second publish")


def pub_batch_publisher_and_another(c: Any, matrix: ModuleType) -> None:
    """Publish twice in one array, to oneself and to another client; both hold a poll."""
    a, b = (c.browser().open() for _ in range(2))
    a.sub("/room")
    b.sub("/room")
    p, q = b.hold("B: connect (held)"), a.hold("A: connect (held)")
    due = matrix.time.monotonic()
    a.post([a.m("/room", data=1), a.m("/room", data=2)], "A: two publishes in one array")
    p.wait(expect=due)
    b.drain("B: the second publish")
    q.wait(expect=due)


def pub_batch_receiver_with_ack(c: Any, matrix: ModuleType) -> None:
    """Publish twice in one array, to a client with the ack extension and to one without."""
    a, b, d = c.browser().open(), c.browser().open(ext={"ack": True}), c.browser().open()
    b.sub("/room")
    d.sub("/room")
    p, q = b.hold("B: connect (held)", ext={"ack": 1}), d.hold("C: connect (held)")
    due = matrix.time.monotonic()
    a.post([a.m("/room", data=1), a.m("/room", data=2)], "A: two publishes in one array")
    p.wait(expect=due)
    q.wait(expect=due)
    b.drain("B: connect ack 2", ext={"ack": 2})
    d.drain("C: the second publish")


MORE_CASES = (
    http_empty_body,
    http_null_body,
    http_jsonp_empty_message,
    sub_number,
    sub_number_unknown_client,
    pub_batch_two_receivers,
    pub_batch_publisher_and_another,
    pub_batch_receiver_with_ack,
)


def load_matrix() -> ModuleType:
    """Return `matrix.py` as a new module, with these cases added."""
    spec = importlib.util.spec_from_file_location("matrix", MATRIX)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for case in MORE_CASES:
        module.CASES[case.__name__] = partial(case, matrix=module)
    return module


if __name__ == "__main__":
    sys.exit(load_matrix().main())
