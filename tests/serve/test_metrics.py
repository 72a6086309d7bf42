"""The metrics, read with the parser of prometheus_client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cometreel.engine import Backend, Control
from cometreel.engine.given_up import GIVE_UP_REASONS
from cometreel.scenario import loads
from cometreel.serve.admin.metrics import Metrics
from tests.serve.admin_client import Administered, administered
from tests.serve.conftest import ASKED, GIVES_UP, SCENARIO, Desktop, until

Samples = dict[tuple[str, tuple[str, ...]], float]


@pytest.fixture
def reel() -> Iterator[Administered]:
    with administered() as found:
        yield found


def families(text: str) -> list[Metric]:
    return [*text_string_to_metric_families(text)]  # type: ignore[no-untyped-call]  # not annotated there


def samples(text: str) -> Samples:
    """Every sample by its name and the values of its labels."""
    return {(s.name, tuple(s.labels.values())): s.value for family in families(text) for s in family.samples}


def scraped(reel: Administered) -> Samples:
    reply = reel.admin.get("/metrics")
    assert reply.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return samples(reply.text)


def test_the_format_is_openmetrics_with_each_metric_at_zero_from_the_start():
    text = Metrics(Control(Backend(loads(SCENARIO)))).exposition().decode()
    assert text.endswith("# EOF\n")
    assert {family.name: (family.type, family.unit) for family in families(text)} == {
        "cometreel_requests": ("counter", ""),
        "cometreel_calls": ("counter", ""),
        "cometreel_events_sent": ("counter", ""),
        "cometreel_notifications_given_up": ("counter", ""),
        "cometreel_sessions": ("gauge", ""),
        "cometreel_held_polls": ("gauge", ""),
        "cometreel_event_lateness_seconds": ("histogram", "seconds"),
    }
    assert set(samples(text).values()) == {0.0}


def test_requests_calls_and_events_are_counted(reel: Administered):
    desktop = Desktop(reel.app).handshakes()
    reel.app.post("/api/v2/workbins", json=ASKED)
    reel.app.get("/nowhere")
    desktop.poll()
    found = scraped(reel)
    assert {name: value for name, value in found.items() if value and "lateness" not in name[0]} == {
        ("cometreel_requests_total", ("http",)): 2,
        ("cometreel_requests_total", ("bayeux",)): 3,
        ("cometreel_calls_total", ("played",)): 1,
        ("cometreel_calls_total", ("missed",)): 1,
        ("cometreel_events_sent_total", ()): 1,
        ("cometreel_sessions", ()): 1,
    }
    assert found["cometreel_event_lateness_seconds_count", ()] == 1
    assert found["cometreel_event_lateness_seconds_bucket", ("+Inf",)] == 1


def test_notifications_that_were_given_up_are_counted_by_reason(reel: Administered):
    reel.admin.put("/scenario", content=GIVES_UP)
    reel.app.post("/note")
    found = scraped(reel)
    given_up = {labels: value for (name, labels), value in found.items() if "given_up" in name}
    assert given_up == {(reason,): float(reason == "no subscriber") for reason in GIVE_UP_REASONS}


def test_held_polls_are_a_gauge(reel: Administered, dial):
    desktop = Desktop(reel.app).handshakes()
    with dial(reel.served.url) as poll:
        poll.sendall(desktop.poll_bytes())
        until(lambda: scraped(reel)["cometreel_held_polls", ()] == 1, "the poll is held")
    until(lambda: scraped(reel)["cometreel_held_polls", ()] == 0, "the poll is over")


def test_the_buckets_of_lateness_are_cumulative():
    control = Control(Backend(loads(SCENARIO)))
    for seconds in (0.0, 0.001, 0.0011, 0.3, 60.0):
        control.counters.lateness.observe(seconds)
    found = samples(Metrics(control).exposition().decode())
    buckets = {labels[0]: value for (name, labels), value in found.items() if name.endswith("_bucket")}
    assert buckets == {
        "0.001": 2,
        "0.0025": 3,
        "0.005": 3,
        "0.01": 3,
        "0.025": 3,
        "0.05": 3,
        "0.1": 3,
        "0.25": 3,
        "0.5": 4,
        "1.0": 4,
        "2.5": 4,
        "5.0": 4,
        "10.0": 4,
        "+Inf": 5,
    }
    assert found["cometreel_event_lateness_seconds_sum", ()] == pytest.approx(60.3021)


def test_two_replays_in_one_process_have_separate_metrics(reel: Administered):
    with administered() as other:
        reel.app.get("/nowhere")
        found = [scraped(one)["cometreel_calls_total", ("missed",)] for one in (reel, other)]
    assert found == [1, 0]
