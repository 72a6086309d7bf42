"""Load planning and measurement: which requests are due when, and what happened to each. No sockets, clock or gevent.

One agent sends requests at a rate and counts the results:

    plan = ArrivalPlan(parse_mix("agent=50,place=50"), read_owners(["place=Place{1..200}"]), seed="7")
    schedule = ArrivalSchedule(plan, parse_rate("ramp 10..200 in 60s"))  # the same requests in each run
    ledger = Ledger("agent-17", late=2.0, patience=10.0)  # one per agent
    tally = Tally("worker-1", start=began)  # one per worker

    for arrival in schedule.due(now - began):  # all that is due by now, also if the caller is late
        request = request_for(arrival.kind, arrival.owner)  # POST /api/v2/workbins …
        expectation = expectation_for(arrival.kind, arrival.owner, own_id)
        planned = PlannedRequest(arrival.kind.entry, expectation)
        exchange = ledger.sent(planned, began + arrival.at, now)  # intended and actual start
        tally.sent(exchange)

    tally.add(ledger.replied(exchange, 200, {"statusCode": 0, "referenceId": 67}, now))
    tally.add(ledger.notified({"messageType": "WorkbinStatsMessage", "referenceId": 67}, now))
    tally.add(ledger.advance(now))  # at ledger.deadline(): the requests that are lost

    total = merge_tallies([tally.state(), state_of_another_worker])  # exact, in any order

`outcomes` defines the words that a report uses. Times are seconds on a monotonic clock that the caller reads; times of
two machines are never compared.
"""

from cometreel.load.arrivals import ClosedLoop
from cometreel.load.charts import Chart, ChartLine, Tick, latency_curve, run_chart
from cometreel.load.leases import WorkerLeases
from cometreel.load.load_report import (
    PERCENTILES,
    Report,
    ReportRow,
    RunInfo,
    figures,
    headline,
    junit_report,
    rows,
    warnings,
)
from cometreel.load.owner_kinds import Expectation, OwnerKind, StatsRequest, expectation_for, request_for
from cometreel.load.report_html import html_report, html_section
from cometreel.load.report_text import terminal_report
from cometreel.load.tally import (
    COUNTED,
    SLOWEST_KEPT,
    Counted,
    Entry,
    EntryState,
    SlowAnswer,
    Slowest,
    SlowState,
    StepTallies,
    Timing,
    TimingState,
    count_of,
    count_sent,
)
from cometreel.load.time_series import Interval, TimeSeries, TimeSeriesState

from .arrivals import SHARES, Arrival, ArrivalPlan, ArrivalSchedule, Positions, Spacing
from .capacity import CapacityResult, CapacitySearch, CapacityStep, CapacityTrial, StopReason
from .latency import Latency, LatencyState, Point
from .leases import Grant, LeaseReport, Leases
from .ledger import Ledger
from .limits import Limit, LimitResult, check_limits, parse_limit, parse_limits
from .mix import DEFAULT_MIX, Mix, parse_mix
from .outcomes import (
    Abandoned,
    Acknowledged,
    Answered,
    Duplicate,
    Failure,
    LateAfterLost,
    Lost,
    PendingRequest,
    PlannedRequest,
    Refused,
    RequestOutcome,
    SessionLost,
    Unexpected,
    Wrong,
)
from .owners import Owners, read_owners
from .rate import Piece, Rate, parse_rate
from .tally import BUSY_PERCENT, Gauges, Tally, TallyState, merge_tallies, overloaded

__all__ = [
    "BUSY_PERCENT",
    "COUNTED",
    "DEFAULT_MIX",
    "PERCENTILES",
    "SHARES",
    "SLOWEST_KEPT",
    "Abandoned",
    "Acknowledged",
    "Answered",
    "LateAfterLost",
    "Arrival",
    "PlannedRequest",
    "Interval",
    "StatsRequest",
    "CapacitySearch",
    "Counted",
    "Duplicate",
    "Entry",
    "EntryState",
    "PendingRequest",
    "Expectation",
    "Failure",
    "Gauges",
    "Grant",
    "CapacityResult",
    "WorkerLeases",
    "OwnerKind",
    "Latency",
    "LatencyState",
    "LeaseReport",
    "Leases",
    "Ledger",
    "Limit",
    "ChartLine",
    "Lost",
    "Wrong",
    "Mix",
    "RequestOutcome",
    "Owners",
    "Chart",
    "Piece",
    "Positions",
    "ArrivalPlan",
    "Point",
    "TimeSeries",
    "TimeSeriesState",
    "Rate",
    "Refused",
    "Report",
    "ReportRow",
    "RunInfo",
    "ArrivalSchedule",
    "SessionLost",
    "SlowAnswer",
    "SlowState",
    "Slowest",
    "Spacing",
    "StepTallies",
    "CapacityStep",
    "StopReason",
    "Tally",
    "TallyState",
    "Tick",
    "Timing",
    "TimingState",
    "CapacityTrial",
    "ClosedLoop",
    "Unexpected",
    "LimitResult",
    "request_for",
    "count_of",
    "run_chart",
    "expectation_for",
    "figures",
    "headline",
    "html_report",
    "html_section",
    "check_limits",
    "junit_report",
    "latency_curve",
    "merge_tallies",
    "overloaded",
    "parse_limit",
    "parse_limits",
    "parse_mix",
    "parse_rate",
    "read_owners",
    "rows",
    "count_sent",
    "terminal_report",
    "warnings",
]
