"""The tally: counts by outcome, and merging of workers."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from cometreel.jsonvalue import JSON, JSONObject, decode, encode
from cometreel.load import (
    SLOWEST_KEPT,
    Answered,
    Expectation,
    Interval,
    Ledger,
    PendingRequest,
    PlannedRequest,
    SlowAnswer,
    Slowest,
    StepTallies,
    Tally,
    TallyState,
    TimeSeries,
    count_of,
    count_sent,
    merge_tallies,
    overloaded,
)

PLACE = PlannedRequest("RequestAgentStats Place", Expectation("Place", "Place1"))
AGENT = PlannedRequest("RequestAgentStats Agent", Expectation("Agent"))


def play(tally: Tally, steps: Sequence[tuple[int, int, int]]) -> Tally:
    """Add one exchange per step, given as kind, outcome, and duration of its parts in milliseconds."""
    ledger = Ledger("agent-1", late=0.1, patience=1.0)
    for number, (kind, fault, millis) in enumerate(steps):
        now = tally.start + number * 3.0
        tally.due += 1
        planned = PLACE if kind else AGENT
        exchange = ledger.sent(planned, now, now + 0.001)
        tally.sent(exchange)
        reply = now + 0.001 + millis / 1000
        status = 503 if fault == 1 else 200
        body: JSONObject = {"statusCode": 0, "referenceId": number, "statusMessage": f"down for the {number}. time"}
        tally.add(ledger.replied(exchange, status, body, reply))
        if fault not in (1, 2):
            owner = "Place2" if fault == 3 and kind else "Place1"
            stats: JSON = {"w": {"Owner": owner, "Type": "Place" if kind else "Agent"}}
            data: JSONObject = {"messageType": "WorkbinStatsMessage", "referenceId": number, "workbinStats": stats}
            for _ in range(2 if fault == 4 else 1):
                tally.add(ledger.notified(data, reply + millis / 1000))
        if fault == 5:
            tally.add(ledger.session_lost(reply + 0.5))
        tally.add(ledger.notified({"referenceId": 10**6}, reply + 0.6) if fault == 6 else [])
        tally.add(ledger.close(now + 2.9))
    tally.add_cpu_sample(12.5)
    tally.set_gauges(sessions=1, held=1, in_flight=ledger.in_flight)
    return tally


STEPS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 300)), max_size=12)


def test_outcomes_are_counted():
    tally = play(
        Tally("w", 50.0), [(1, 0, 10), (1, 0, 90), (1, 1, 5), (0, 2, 5), (1, 3, 5), (1, 4, 5), (0, 5, 5), (0, 6, 5)]
    )
    place, agent = tally.entries[PLACE.entry], tally.entries[AGENT.entry]
    assert (place.sent, place.acknowledged, place.expected, place.answered) == (5, 4, 4, 3)
    assert dict(place.failures) == {"late": 1, "HTTP 503": 1, "wrong Owner": 1, "duplicate": 1}
    assert (agent.sent, agent.acknowledged, agent.expected, agent.answered) == (3, 3, 3, 2)
    assert dict(agent.failures) == {"lost": 1}
    assert dict(tally.strays) == {"session lost": 1, "unexpected": 1}
    counts = {what: count_of(tally, what) for what in ("error", "lost", "late", "wrong", "http error", "unexpected")}
    assert counts == {"error": 3, "lost": 1, "late": 1, "wrong": 1, "http error": 1, "unexpected": 1}
    assert (count_of(tally, "error", AGENT.entry), count_sent(tally), count_sent(tally, AGENT.entry)) == (1, 8, 3)
    assert tally.workers == {
        "w": {
            "sessions": 1,
            "held": 1,
            "in_flight": 0,
            "cpu_samples": 1,
            "cpu_busy": 0,
            "cpu_total": 125,
            "cpu_highest": 125,
        }
    }


def test_latencies_count_from_the_intended_and_from_the_actual_start():
    tally = play(Tally("w", 50.0), [(1, 0, 10)])
    timing = tally.entries[PLACE.entry].notification
    assert (round(timing.intended.highest, 6), round(timing.actual.highest, 6)) == (0.021, 0.02)
    assert round(tally.lag.highest, 6) == 0.001
    assert tally.slowest.answers() == [SlowAnswer(21_000, 0.0, PLACE.entry, "agent-1", "0")]
    assert tally.time_series.intervals() == [Interval(0, 1, 1, 0, 0.021)]


@example_settings(max_examples=30, deadline=None)
@given(STEPS)
def test_expected_is_the_sum_of_answered_wrong_and_lost(steps: list[tuple[int, int, int]]):
    for entry in play(Tally("w"), steps).entries.values():
        wrong = sum(number for text, number in entry.failures.items() if text.startswith("wrong"))
        assert entry.expected == entry.answered + wrong + entry.failures["lost"]


def test_the_first_message_of_each_failure_is_kept():
    late, early = play(Tally("a"), [(0, 0, 1), (0, 1, 1)]), play(Tally("b"), [(0, 1, 1), (0, 1, 1), (1, 1, 1)])
    tally = merge_tallies([late.state(), early.state()])
    assert {name: entry.messages for name, entry in tally.entries.items()} == {
        AGENT.entry: {"HTTP 503": {"at": 0.001, "message": "down for the 0. time"}},
        PLACE.entry: {"HTTP 503": {"at": 6.001, "message": "down for the 2. time"}},
    }


@example_settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(0, 4), st.randoms())
def test_merging_json_states_is_exact_in_any_order_and_grouping(parts, cut, random):
    states = [_through_json(play(Tally(f"w{number}", 7.0), part).state()) for number, part in enumerate(parts)]
    whole = merge_tallies(states).state()
    random.shuffle(states)
    grouped = merge_tallies([merge_tallies(states[:cut]).state(), merge_tallies(states[cut:]).state()]).state()
    assert grouped == whole
    assert whole["due"] == sum(len(part) for part in parts)


def test_due_and_unsent_requests_of_all_workers_are_added():
    workers = []
    for due, unsent in ((5, 2), (7, 3)):
        tally = Tally("w")
        tally.due, tally.unsent = due, unsent
        workers.append(tally.state())
    merged = merge_tallies(workers)
    assert (merged.due, count_of(merged, "unsent")) == (12, 5)


def _through_json(state: TallyState) -> TallyState:
    assert decode(encode(state)) == state  # type: ignore[arg-type]  # a TypedDict of JSON is JSON
    return state


def test_gauges_of_the_same_worker_are_added():
    tally = merge_tallies([play(Tally("w"), []).state(), play(Tally("w"), []).state()])
    assert tally.workers == {
        "w": {
            "sessions": 2,
            "held": 2,
            "in_flight": 0,
            "cpu_samples": 2,
            "cpu_busy": 0,
            "cpu_total": 250,
            "cpu_highest": 125,
        }
    }


# ------------------------------------------------------------------------------ the slowest
@given(st.lists(st.integers(0, 50), max_size=100), st.randoms())
def test_the_slowest_answers_are_the_same_in_any_order(latencies, random):
    answers = [SlowAnswer(micros, float(at), "e", "a", str(at)) for at, micros in enumerate(latencies)]
    one, other = Slowest(), Slowest()
    for answer in answers:
        if one.would_keep(answer.micros):
            one.add(answer)
    random.shuffle(answers)
    other.merge([answer._asdict() for answer in answers])  # type: ignore[misc]  # its fields are those of the state
    assert one.answers() == other.answers() == sorted(answers, reverse=True)[:SLOWEST_KEPT]


def test_a_fast_answer_does_not_replace_a_slow_one():
    slowest = Slowest()
    for micros in range(SLOWEST_KEPT, -1, -1):
        slowest.add(SlowAnswer(micros, 0.0, "e", "a", "1"))
    assert [answer.micros for answer in slowest.answers()] == list(range(SLOWEST_KEPT, 0, -1))


# ------------------------------------------------------------------------------ time series
def test_a_long_run_has_wider_intervals():
    time_series = TimeSeries()
    for second in range(1000):
        time_series.sent(second + 0.5)
    time_series.answered(999.0, 2_000_000)
    time_series.failed(-0.5)
    intervals = time_series.intervals()
    assert (time_series.width, len(intervals), intervals[0], intervals[-1]) == (
        2,
        500,
        Interval(0, 2, 0, 1, 0.0),
        Interval(998, 2, 1, 0, 2.0),
    )


def test_a_wider_interval_keeps_the_slowest_answer_of_all_its_seconds():
    time_series = TimeSeries()
    time_series.answered(0.0, 2_000_000)
    time_series.answered(1.0, 1_000_000)
    time_series.sent(1000.0)
    assert time_series.intervals()[0] == Interval(0, 0, 2, 0, 2.0)


@given(st.lists(st.lists(st.integers(0, 5000), max_size=8), min_size=1, max_size=4), st.randoms())
def test_time_series_merge_in_any_order(parts, random):
    def of(seconds: list[int]) -> TimeSeries:
        time_series = TimeSeries()
        for second in seconds:
            time_series.sent(float(second))
        return time_series

    states = [of(part).state() for part in parts]
    random.shuffle(states)
    whole = TimeSeries()
    for state in states:
        whole.merge(state)
    assert whole.state() == of([second for part in parts for second in part]).state()


def test_refused_wrong_and_lost_requests_fail_in_the_second_of_their_outcome():
    tally = play(Tally("w"), [(1, 1, 10), (1, 2, 10), (1, 3, 10), (1, 0, 10)])
    assert [(interval.at, interval.failed) for interval in tally.time_series.intervals() if interval.failed] == [
        (0, 1),
        (4, 1),
        (6, 1),
    ]


# ------------------------------------------------------------------------------ steps
def test_a_request_belongs_to_the_step_of_its_intended_start():
    tallies = StepTallies("w", 100.0)
    tallies.add_step(1, 10.0)
    tallies.add_step(2, 20.0)
    for at in (5.0, 15.0, 19.9, 20.0):
        tallies.due(at)
        exchange = PendingRequest(1, "a", PLACE, 100.0 + at, 101.0 + at)
        tallies.sent(exchange)
        tallies.add([Answered(exchange, 125.0, late=False)])
    tallies.unsent(15.0)
    tallies.add_cpu_sample(50.0, 25.0)
    first, second = tallies.step(1), tallies.step(2)
    assert first is not None
    assert second is not None
    assert (tallies.whole.due, first.due, second.due) == (4, 2, 1)
    assert [count_sent(tally) for tally in (tallies.whole, first, second)] == [4, 2, 1]
    assert [tally.entries[PLACE.entry].answered for tally in (tallies.whole, first, second)] == [4, 2, 1]
    assert (tallies.whole.unsent, first.unsent, second.unsent) == (1, 1, 0)
    assert (second.workers["w"]["cpu_samples"], first.workers["w"]["cpu_samples"]) == (1, 0)


def test_the_latest_steps_are_kept_and_adding_one_twice_changes_nothing():
    tallies = StepTallies("w", 0.0)
    for _ in range(2):
        for number in range(5):
            tallies.add_step(number, 10.0 * number)
            tallies.due(10.0 * number + 1)
    tallies.due(39.0)
    kept = {number: tallies.step(number) for number in range(6)}
    assert {number: tally.due for number, tally in kept.items() if tally} == {2: 2, 3: 3, 4: 2}


# ------------------------------------------------------------------------------ load generator
def test_a_sample_of_90_percent_is_not_busy():
    tally = Tally("w")
    tally.add_cpu_sample(90.0)
    assert not overloaded(tally.workers["w"])


def test_a_worker_is_overloaded_if_more_than_a_tenth_of_its_samples_are_busy():
    tally = Tally("w")
    assert not overloaded(tally.workers["w"])
    for percent in [91.0] + [20.0] * 9:
        tally.add_cpu_sample(percent)
    assert not overloaded(tally.workers["w"])
    tally.add_cpu_sample(91.0)
    assert overloaded(tally.workers["w"])
