"""The report: figures, warnings, all formats, and escaping."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from cometreel.jsonvalue import JSONObject
from cometreel.load import (
    CapacitySearch,
    Expectation,
    Latency,
    Ledger,
    OwnerKind,
    PlannedRequest,
    Report,
    RunInfo,
    SlowAnswer,
    Tally,
    check_limits,
    figures,
    html_section,
    junit_report,
    latency_curve,
    parse_limits,
    terminal_report,
    warnings,
)
from cometreel.load.charts import run_chart
from cometreel.load.formatting import count, percent, rate, seconds, shortened
from cometreel.load.load_report import verdict
from cometreel.load.time_series import TimeSeries

TERMINAL = """\
load on http://gws.example:8080 for 10.0s
5.0/s due, 5.0/s sent; 49 of 50 expected notifications came

owner       sent  acked  expected  answered  lost
-------------------------------------------------
Agent         10     10        10        10     0
Place         10     10        10         9     1
AgentGroup    10     10        10        10     0
PlaceGroup    10     10        10        10     0
User          10     10        10        10     0
All           50     50        50        49     1

schedule lag: p50 500µs, p99 500µs
CPU of worker-1: 20% of one core, at most 20%

                                 from the intended start  from the actual start
owner       latency          p50     p99  p99.99     max     p50     p99  p99.99     max
----------------------------------------------------------------------------------------
Agent       ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
Agent       notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms
Place       ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
Place       notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms
AgentGroup  ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
AgentGroup  notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms
PlaceGroup  ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
PlaceGroup  notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms
User        ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
User        notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms
All         ack           20.0ms  20.0ms  20.0ms  20.0ms  19.5ms  19.5ms  19.5ms  19.5ms
All         notification   100ms   100ms   100ms   100ms  99.5ms  99.5ms  99.5ms  99.5ms

slowest answers
latency  entry                         referenceId  agent    due at
-------------------------------------------------------------------
  100ms  RequestAgentStats User                 50  agent-1   9.00s
  100ms  RequestAgentStats PlaceGroup           49  agent-1   9.00s
  100ms  RequestAgentStats Place                47  agent-1   9.00s
  100ms  RequestAgentStats AgentGroup           48  agent-1   9.00s
  100ms  RequestAgentStats Agent                46  agent-1   9.00s

        limit                     found
---------------------------------------
passed  notification p99 < 800ms  100ms
FAILED  lost == 0                 1
"""

HOST = "http://gws.example:8080"


def a_tally(agent: str = "agent-1") -> Tally:
    """Ten seconds with one request of each kind per second; one is lost."""
    tally, ledger = Tally("worker-1", 100.0), Ledger(agent, late=1.0, patience=2.0)
    reference = 0
    for second in range(10):
        for kind in OwnerKind:
            now = 100.0 + second
            reference += 1
            exchange = ledger.sent(PlannedRequest(kind.entry, Expectation(kind.workbin_type)), now, now + 0.0005)
            tally.sent(exchange)
            tally.due += 1
            tally.add(ledger.replied(exchange, 200, {"statusCode": 0, "referenceId": reference}, now + 0.02))
            if (second, kind) != (4, OwnerKind.PLACE):
                data: JSONObject = {"messageType": "WorkbinStatsMessage", "referenceId": reference}
                tally.add(ledger.notified(data, now + 0.1))
    tally.add(ledger.close(112.0))
    tally.add_cpu_sample(20.0)
    return tally


def a_report(tally: Tally, *limits: str, seconds: float = 10.0, nominal: float = 50.0) -> Report:
    what = RunInfo(HOST, seconds, nominal, (("mix", "agent=100"), ("seed", "7")))
    return Report(what, tally, check_limits(parse_limits(limits), tally))


def test_terminal_report():
    assert terminal_report(a_report(a_tally(), "notification p99 < 800ms", "lost == 0")) == TERMINAL


@pytest.mark.parametrize("agent", ["agent-1", "a" * 300])
def test_no_line_in_a_terminal_is_wider_than_100_columns(agent: str):
    tally = a_tally(agent)
    for text in ("wrong Owner", "duplicate", "late", "late-after-lost", "HTTP 503", "statusCode 4", "no reply"):
        tally.entries[OwnerKind.AGENT_GROUP.entry].failures[text] += 1_234_567_890
    tally.workers["x" * 120] = {**tally.workers["worker-1"], "cpu_highest": 990, "cpu_busy": 1, "in_flight": 5}
    text = terminal_report(a_report(tally, "notification p99 < 800ms", nominal=1_000_000.0))
    assert max(map(len, text.splitlines())) <= 100
    assert "the load generator was the limit: CPU 99%" in text


def test_a_long_name_is_shortened_in_the_middle_and_every_figure_stays():
    tally = a_tally("someone-" + "x" * 60)
    name = "POST subscribe to the workbins of a whole agent group and of all place groups that belong to it"
    tally.entries[name] = tally.entries.pop(OwnerKind.AGENT.entry)
    tally.slowest.add(SlowAnswer(9_000_000, 1.0, name, "agent-1", "7"))
    lines = terminal_report(a_report(tally)).splitlines()
    assert max(map(len, lines)) <= 100
    (counts,) = [line for line in lines if line.startswith("POST subscribe to the")]
    assert counts.split()[-5:] == ["10", "10", "10", "10", "0"]
    assert [line for line in lines if line.startswith("POST") and "notification" in line] == [
        "POST subscribe …at belong to it notification  100ms  100ms  100ms  100ms 99.5ms 99.5ms 99.5ms 99.5ms"
    ]


@pytest.mark.parametrize(
    ("text", "width", "written"),
    [("Place", 5, "Place"), ("AgentGroup", 9, "Agen…roup"), ("AgentGroup", 6, "Age…up"), ("AgentGroup", 1, "…")],
)
def test_long_names_are_shortened_in_the_middle(text: str, width: int, written: str):
    assert shortened(text, width) == written


def test_a_search_for_capacity_shows_its_steps():
    search = CapacitySearch(parse_limits(["lost == 0"]), first=5.0, counted=10.0, settle=2.0, highest=10.0)
    good, bad = Tally("w"), a_tally()
    good.entry(OwnerKind.AGENT.entry).sent = 1
    search.add_result(good)
    search.add_result(bad)
    search.add_result(bad)
    while search.step is not None:
        search.add_result(good)
    report = Report(RunInfo(HOST, 60.0, 300.0), a_tally(), (), search.trials, search.result)
    text = terminal_report(report)
    assert " 5.0/s  held\n10.0/s  lost == 0\n" in text
    assert "capacity: 7.2/s; the limits break above it\n" in text
    assert "Capacity: 7.2/s" in html_section(report)
    assert report.passed


def test_an_unfinished_search_whose_first_rate_broke_a_limit_promises_no_higher_rate():
    search = CapacitySearch(parse_limits(["lost == 0"]), first=16.0, counted=10.0, settle=2.0)
    before = Report(RunInfo(HOST, 1.0, 0.0), a_tally(), (), search.trials, search.result_so_far())
    assert terminal_report(before).endswith(
        "capacity: unknown; the search was not finished; no rate has held the limits so far\n"
    )
    search.add_result(a_tally())
    report = Report(RunInfo(HOST, 60.0, 0.0), a_tally(), (), search.trials, search.result_so_far())
    assert "capacity: below 16.0/s; the search was not finished; no rate has held" in terminal_report(report)
    page = html_section(report)
    assert "Capacity: below 16.0/s" in page
    assert "Failed: capacity below 16.0/s" in page
    assert [text for text in (" 0.0/s", "a higher rate may hold") if text in terminal_report(report) + page] == []


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (("lost == 0", "ack p99 < 1s"), "Failed: 1 of 2 limits broken"),
        (("lost == 1", "ack p99 < 1s"), "Passed: all 2 limits hold"),
        (("lost == 1",), "Passed: 1 limit holds"),
        ((), "No limits were set; 1 requests failed"),
    ],
)
def test_the_page_starts_with_the_result(limits: tuple[str, ...], line: str):
    """Limits, owners, latencies and losses come before everything else."""
    page = html_section(a_report(a_tally(), *limits, nominal=100.0))
    assert verdict(a_report(a_tally(), *limits)) == line
    words = [line, "<h2>Owners</h2>", "only 50% of the due requests", "<h2>Counts</h2>", "<svg", "<h2>Latency</h2>"]
    words[1:1] = ["<h2>Limits</h2>"] if limits else []
    places = [page.index(word) for word in words]
    assert places == sorted(places)
    place = page[page.index("<h2>Owners</h2>") :]
    place = place[place.index("Place</th>") :]
    assert re.findall(r"<td[^>]*>([^<]+)", place[: place.index("</tr>")]) == [
        "10",
        "1",
        "0",
        "20.0ms",
        "20.0ms",
        "100ms",
        "100ms",
    ]


def test_a_run_without_requests_has_failed():
    assert verdict(a_report(Tally(), "lost == 0")) == "Failed: no request was sent"


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda tally: tally.entries.clear(), "no request was sent, so there are no results"),
        (
            lambda tally: tally.add_cpu_sample(170.0),
            "the load generator was the limit: CPU 170% on worker-1, above 90% in 50% of samples",
        ),
        (
            lambda tally: [tally.lag.record(0.7) for _ in range(10)],
            (
                "requests waited before they were sent, p99 700ms: they queued behind slow replies, or the generator "
                "was late; compare both latencies"
            ),
        ),
        (
            lambda tally: tally.set_gauges(sessions=1, held=1, in_flight=3),
            "the counts aren't final: 3 exchanges were still in progress",
        ),
    ],
)
def test_warnings_about_unreliable_figures(prepare, sentence: str):
    tally = a_tally()
    prepare(tally)
    assert sentence in warnings(a_report(tally, nominal=0.0))


def test_warnings_about_lost_workers_and_stopped_agents():
    tally = a_tally()
    tally.entries[OwnerKind.USER.entry].failures["abandoned"] = 2
    assert warnings(Report(RunInfo(HOST, 10.0, 0.0, lost=("worker-2",)), tally)) == [
        "worker-2 was lost: its requests in progress, and those due until other workers took over, are in no figure",
        "2 exchanges were abandoned: their agents were stopped before the answer",
    ]


def test_warning_about_due_requests_that_were_not_sent():
    assert warnings(a_report(a_tally(), nominal=60.0)) == []
    assert warnings(a_report(a_tally(), nominal=100.0)) == ["only 50% of the due requests were sent: 50 of 100"]


def test_json_report():
    report = figures(a_report(a_tally(), "lost == 0"))
    assert json.loads(json.dumps(report)) == report
    entries = report["entries"]
    assert isinstance(entries, dict)
    place = entries["Place"]
    assert isinstance(place, dict)
    assert {name: place[name] for name in ("sent", "expected", "answered", "failures")} == {
        "sent": 10,
        "expected": 10,
        "answered": 9,
        "failures": {"lost": 1},
    }
    assert report["limits"] == [{"limit": "lost == 0", "found": "1", "passed": False}]
    assert (report["passed"], report["due"], report["sent"], report["expected"], report["answered"]) == (
        False,
        50,
        50,
        50,
        49,
    )
    assert report["workers"] == {"worker-1": {"cpu_mean": 20.0, "cpu_highest": 20.0}}


def refused_tally() -> Tally:
    """Two requests are refused with different messages, and one without a message."""
    tally, ledger = Tally("worker-1"), Ledger("agent-1", late=1.0, patience=2.0)
    near_miss = "Nothing matches POST /api/v2/workbins; 'stats of place Place1': /body/workbinOwner is P9, expected P1"
    replies: list[tuple[int, JSONObject]] = [
        (404, {"statusCode": 6, "statusMessage": near_miss}),
        (404, {"statusCode": 6, "statusMessage": "another one"}),
        (403, {"statusMessage": "no access with password=geheim"}),
        (500, {"error": "down"}),
    ]
    for number, (status, body) in enumerate(replies):
        exchange = ledger.sent(PlannedRequest(OwnerKind.PLACE.entry, Expectation("Place")), number, number)
        tally.sent(exchange)
        tally.add(ledger.replied(exchange, status, body, number + 0.5))
    return tally


def test_every_report_has_the_first_message_of_each_failure_without_secrets():
    report = a_report(refused_tally(), nominal=0.0)
    assert """\
Place, HTTP 403 (1): no access with password=[hidden]
Place, HTTP 404 (2): Nothing matches POST /api/v2/workbins; 'stats of place Place1':
  /body/workbinOwner is P9, expected P1
""" in terminal_report(report)
    entries = figures(report)["entries"]
    assert isinstance(entries, dict)
    assert isinstance(entries["Place"], dict)
    assert entries["Place"]["messages"] == {
        "HTTP 403": "no access with password=[hidden]",
        "HTTP 404": (
            "Nothing matches POST /api/v2/workbins; 'stats of place Place1': /body/workbinOwner is P9, expected P1"
        ),
    }
    assert "&#39;stats of place Place1&#39;: /body/workbinOwner is P9, expected P1" in html_section(report)
    assert "Place, HTTP 403: no access with password=[hidden]" in junit_report(report)
    assert "geheim" not in f"{terminal_report(report)}{figures(report)}{html_section(report)}{junit_report(report)}"


def test_a_run_without_a_login_that_is_refused_mentions_the_option_for_users():
    report = a_report(refused_tally(), nominal=0.0)
    assert warnings(report) == []
    refused = "requests refused with HTTP 401 or 403: 1; the server requires a login: add --reel-users"
    assert warnings(replace(report, run=replace(report.run, logged_in=False))) == [refused]


def test_a_failed_login_is_a_warning():
    run = replace(a_report(Tally()).run, login_error="login failed: the server answered 'me' with HTTP 404")
    assert warnings(Report(replace(run, nominal=0.0), Tally())) == [
        "no request was sent, so there are no results",
        "login failed: the server answered 'me' with HTTP 404",
    ]


def test_junit_has_a_case_for_each_limit():
    suite = ET.fromstring(
        junit_report(a_report(a_tally(), "lost == 0", "ack p99 < 1s", nominal=100.0)).split("\n", 1)[1]
    )
    assert dict(suite.attrib) == {
        "name": "cometreel load",
        "tests": "2",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
        "time": "10.000",
    }
    cases = [(case.get("name"), [f.get("message") for f in case.iter("failure")]) for case in suite.iter("testcase")]
    assert cases == [("lost == 0", ["lost == 0: found 1"]), ("ack p99 < 1s", [])]
    assert suite.findtext("system-out") == "only 50% of the due requests were sent: 50 of 100"


def test_the_page_needs_no_other_resources_and_escapes_values():
    page = html_section(a_report(a_tally('<script>alert("1")</script>'), "lost == 0"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert [word for word in ("http://", "https://", "url(", "@import", "src=") if word in page.replace(HOST, "")] == []
    assert "prefers-color-scheme: dark" in page
    assert page.count("<polyline") == 5 + 3 + 3


def test_the_page_of_an_empty_run():
    page = html_section(a_report(Tally("w"), nominal=0.0))
    assert "no request was sent" in page
    assert "<polyline" not in page
    assert terminal_report(a_report(Tally(), nominal=0.0, seconds=0.0)).startswith("load on")


def test_a_report_passes_when_something_was_sent_and_every_limit_holds():
    assert not a_report(Tally("w"), "lost == 0").passed
    assert a_report(a_tally(), "lost == 1").passed
    assert not a_report(a_tally(), "lost == 1", "lost == 0").passed


# ------------------------------------------------------------------------------ charts and formatting
def test_the_percentile_axis_is_logarithmic():
    latency = Latency()
    for millis in range(1, 10_001):
        latency.record(millis / 1000)
    chart = latency_curve([("all", latency), ("none", Latency())])
    assert chart is not None
    assert [tick.text for tick in chart.across] == ["0", "p90", "p99", "p99.9", "p99.99"]
    assert [tick.text for tick in chart.up] == ["0s", "2.50s", "5.00s", "7.50s", "10.0s"]
    points = [tuple(map(float, point.split(","))) for point in chart.lines[0].points.split(" ")]
    assert [line.label for line in chart.lines] == ["all"]
    assert (points[0], points[16], points[-1]) == ((0.0, 240.0), (215.0, 23.9), (860.0, 0.0))
    assert latency_curve([]) is None


def test_the_chart_over_time_includes_empty_seconds():
    time_series = TimeSeries()
    for at in (0.5, 3.5, 3.6):
        time_series.sent(at)
    chart = run_chart(time_series)
    assert chart is not None
    assert [line.label for line in chart.lines] == ["sent", "answered", "failed"]
    assert chart.lines[0].points == "107.5,120.0 322.5,240.0 537.5,240.0 752.5,0.0"
    assert [tick.text for tick in chart.up] == ["0/s", "0.5/s", "1/s", "1.5/s", "2/s"]
    assert run_chart(TimeSeries()) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (0.00034, "340µs"),
        (0.034, "34.0ms"),
        (0.9994, "999ms"),
        (0.9996, "1.00s"),
        (9.999, "10.0s"),
        (125, "125s"),
    ],
)
def test_seconds_have_three_digits(value: float, text: str):
    assert seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0%"),
        (0.0001, "<0.01%"),
        (0.014, "0.01%"),
        (12.5, "12.5%"),
        (99.999, ">99.99%"),
        (100, "100%"),
        (250, "250%"),
    ],
)
def test_percentages_are_never_rounded_to_0_or_100(value: float, text: str):
    assert percent(value) == text


def test_counts_and_rates_have_thousands_separators():
    assert (count(1_234_567), rate(12_345.67)) == ("1,234,567", "12,345.7/s")
