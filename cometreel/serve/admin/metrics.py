"""Metrics of a replay in the OpenMetrics format, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cometreel.engine import Control
from cometreel.engine.counters import BOUNDS, Histogram
from cometreel.engine.given_up import GIVE_UP_REASONS

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

_KINDS = ("http", "bayeux", "websocket")
_OUTCOMES = ("played", "responder", "missed", "broadcast", "forwarded", "failed", "fault", "refused")


class Metrics(Collector):
    """The collector of one replay, with its own registry: a process may have several replays."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def exposition(self) -> bytes:
        """Return all current metrics in the text format of `CONTENT_TYPE`."""
        text: bytes = generate_latest(self._registry)  # type: ignore[no-untyped-call]  # prometheus_client has no annotation for it
        return text

    def collect(self) -> Iterator[Metric]:
        """Yield each metric; the registry calls this."""
        control, counters = self._control, self._control.counters
        requests = CounterMetricFamily("cometreel_requests", "Requests received.", labels=["kind"])
        for kind in _KINDS:
            requests.add_metric([kind], counters.requests[kind])
        calls = CounterMetricFamily("cometreel_calls", "Calls answered, by outcome.", labels=["outcome"])
        for outcome in _OUTCOMES:
            calls.add_metric([outcome], control.outcomes.get(outcome, 0))
        yield requests
        yield calls
        yield CounterMetricFamily(
            "cometreel_events_sent", "Notifications delivered to CometD clients.", value=counters.events
        )
        given_up = CounterMetricFamily(
            "cometreel_notifications_given_up", "Notifications that no client gets, by reason.", labels=["reason"]
        )
        for reason in GIVE_UP_REASONS:
            given_up.add_metric([reason], control.given_up_counts.get(reason, 0))
        yield given_up
        yield GaugeMetricFamily("cometreel_sessions", "Live HTTP sessions.", value=control.session_count)
        yield GaugeMetricFamily("cometreel_held_polls", "Polls that are held.", value=control.held_polls)
        yield _histogram(counters.lateness)


def _histogram(lateness: Histogram) -> Metric:
    bounds = [*map(str, BOUNDS), "+Inf"]
    return HistogramMetricFamily(
        "cometreel_event_lateness_seconds",
        "Delay between the due time of a notification and its delivery to CometD clients.",
        buckets=[*zip(bounds, map(float, accumulate(lateness.counts)), strict=True)],
        sum_value=lateness.total,
        unit="seconds",
    )
