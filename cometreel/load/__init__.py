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

from cometreel.load.arrivals import SHARES, Arrival, ArrivalPlan, ArrivalSchedule, ClosedLoop, Spacing
from cometreel.load.capacity import CapacityResult, CapacitySearch, CapacityStep, CapacityTrial, StopReason
from cometreel.load.charts import latency_curve
from cometreel.load.latency import Latency
from cometreel.load.leases import Grant, LeaseReport, Leases, WorkerLeases
from cometreel.load.ledger import Ledger
from cometreel.load.limits import Limit, LimitResult, check_limits, parse_limit, parse_limits
from cometreel.load.load_report import Report, RunInfo, figures, junit_report, rows, warnings
from cometreel.load.mix import DEFAULT_MIX, Mix, parse_mix
from cometreel.load.outcomes import (
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
from cometreel.load.owner_kinds import Expectation, OwnerKind, StatsRequest, expectation_for, request_for
from cometreel.load.owners import Owners, read_owners
from cometreel.load.rate import Piece, Rate, parse_rate
from cometreel.load.report_html import html_section
from cometreel.load.report_text import terminal_report
from cometreel.load.tally import (
    COUNTED,
    SLOWEST_KEPT,
    SlowAnswer,
    Slowest,
    StepTallies,
    Tally,
    TallyState,
    count_of,
    count_sent,
    merge_tallies,
    overloaded,
)
from cometreel.load.time_series import Interval, TimeSeries

__all__ = [
    "COUNTED",
    "DEFAULT_MIX",
    "SHARES",
    "SLOWEST_KEPT",
    "Abandoned",
    "Acknowledged",
    "Answered",
    "Arrival",
    "ArrivalPlan",
    "ArrivalSchedule",
    "CapacityResult",
    "CapacitySearch",
    "CapacityStep",
    "CapacityTrial",
    "ClosedLoop",
    "Duplicate",
    "Expectation",
    "Failure",
    "Grant",
    "Interval",
    "LateAfterLost",
    "Latency",
    "LeaseReport",
    "Leases",
    "Ledger",
    "Limit",
    "LimitResult",
    "Lost",
    "Mix",
    "OwnerKind",
    "Owners",
    "PendingRequest",
    "Piece",
    "PlannedRequest",
    "Rate",
    "Refused",
    "Report",
    "RequestOutcome",
    "RunInfo",
    "SessionLost",
    "SlowAnswer",
    "Slowest",
    "Spacing",
    "StatsRequest",
    "StepTallies",
    "StopReason",
    "Tally",
    "TallyState",
    "TimeSeries",
    "Unexpected",
    "WorkerLeases",
    "Wrong",
    "check_limits",
    "count_of",
    "count_sent",
    "expectation_for",
    "figures",
    "html_section",
    "junit_report",
    "latency_curve",
    "merge_tallies",
    "overloaded",
    "parse_limit",
    "parse_limits",
    "parse_mix",
    "parse_rate",
    "read_owners",
    "request_for",
    "rows",
    "terminal_report",
    "warnings",
]
