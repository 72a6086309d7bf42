"""Exchanges, timeline entries and faults that are added and removed while the server runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import cometreel
from cometreel import event, exchange, fault, get, markers, post, reply, timeline_entry, when
from tests.replay.desktop import AgentApplication

HERE = Path(__file__)
SCENARIO = """\
cometreel: 1
bayeux: {endpoint: /api/v2/notifications}
exchanges:
  - {name: first, request: {method: GET, path: /items}, reply: {body: [1]}}
  - {name: second, request: {method: GET, path: /items}, reply: {body: [1, 2]}}
  - {name: version, request: {method: GET, path: /version}, reply: {body: 8}}
timeline:
  - {since: version, after: 1h, channel: /v2/me/workbins, data: late}
"""


@pytest.fixture
def server() -> Iterator[cometreel.ReplayServer]:
    with cometreel.replay(SCENARIO) as running:
        yield running


def line_of(text: str) -> int:
    """Return the number of the line of this file that contains a text."""
    return next(number for number, line in enumerate(HERE.read_text().splitlines(), 1) if text in line)


def test_an_added_exchange_answers(server: cometreel.ReplayServer):
    assert httpx.get(server.url + "/health").status_code == 404
    server.add(exchange("health", get("/health"), reply=reply({"up": True})))
    assert httpx.get(server.url + "/health").json() == {"up": True}
    assert [call.exchange for call in server.calls] == [None, "health"]


def test_an_empty_server_gets_its_exchanges_and_notifications_later():
    with cometreel.replay(cometreel.Scenario(bayeux={"endpoint": "/api/v2/notifications"}), speed=0) as server:
        asked = post(
            "/api/v2/workbins", body={"operationName": "RequestAgentStats", "workbinOwner": markers.capture("o")}
        )
        data = {"owner": markers.template("{{ o }}")}
        server.add(exchange("stats", asked, reply=reply({"statusCode": 0}), events=[event("/v2/me/workbins", data)]))
        with AgentApplication(server.url) as application:
            application.request_stats(workbinOwner="Place1")
            application.poll()
    assert application.messages == [{"owner": "Place1"}]


def test_the_latest_of_several_that_match_answers_until_it_is_removed(server: cometreel.ReplayServer):
    newer = exchange("newer", get("/version"), reply=reply(9))
    server.add(newer)
    assert httpx.get(server.url + "/version").json() == 9
    server.add(exchange("newest", get("/version"), reply=reply(10)))
    assert httpx.get(server.url + "/version").json() == 10
    server.remove("newest", newer)
    assert httpx.get(server.url + "/version").json() == 8


def test_sessions_continue_in_their_sequence(server: cometreel.ReplayServer):
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/items").json() == [1]
        server.add(exchange("other", get("/other")))
        assert client.get("/items").json() == [1, 2]
        server.remove("other")
        assert client.get("/items").json() == [1, 2]


def test_an_exchange_that_gets_the_name_of_a_removed_one_was_not_played_yet(server: cometreel.ReplayServer):
    with httpx.Client(base_url=server.url) as client:
        for number in (1, 2):
            server.add(
                exchange("once", get("/once"), reply=reply(number), repeat="fail"),
                exchange("after once", get("/after"), when=when(after="once")),
            )
            assert client.get("/after").status_code == 404
            assert client.get("/once").json() == number
            assert client.get("/once").status_code == 404
            assert client.get("/after").status_code == 200
            server.remove("once", "after once")


def test_a_clients_notifications_and_faults_survive_an_addition(server: cometreel.ReplayServer):
    with AgentApplication(server.url) as application:
        application.http.get("/version")
        server.fault({"exchange": "version", "status": 503})
        server.add(exchange("done", get("/done"), events=[event("/v2/me/workbins", {"done": True})]))
        assert application.http.get("/version").status_code == 503
        application.http.get("/done")
        application.poll()
        assert application.messages == [{"done": True}]
        assert len(server.sessions) == 1


def test_an_added_timeline_entry_starts_with_its_exchange():
    with cometreel.replay(SCENARIO, speed=0) as server, AgentApplication(server.url) as application:
        server.add(
            exchange("begin", get("/begin")),
            timeline_entry("/v2/me/workbins", {"begun": True}, since="begin"),
        )
        application.http.get("/begin")
        application.poll()
        assert application.messages == [{"begun": True}]


def test_faults_are_added_with_exchanges(server: cometreel.ReplayServer):
    server.add(exchange("health", get("/health")), fault("health", status=503))
    assert httpx.get(server.url + "/health").status_code == 503
    (active,) = server.faults
    assert active.position is not None
    assert active.position.startswith(f"{HERE}:")


def test_a_reset_restores_the_scenario_of_the_start(server: cometreel.ReplayServer):
    server.remove("first", "second")
    server.add(exchange("newer", get("/version"), reply=reply(9)))
    server.reset()
    assert httpx.get(server.url + "/items").json() == [1]
    assert httpx.get(server.url + "/version").json() == 8


def test_an_added_guard_refers_to_an_exchange_of_the_file(server: cometreel.ReplayServer):
    server.add(exchange("after", get("/after"), when=when(after="version")))
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/after").status_code == 404
        client.get("/version")
        assert client.get("/after").status_code == 200


def test_a_near_miss_names_the_call_that_built_the_exchange(server: cometreel.ReplayServer):
    server.add(exchange("built here", get("/built")))
    httpx.get(server.url + "/built?x=1")
    (call,) = server.unmatched
    assert call.miss is not None
    position = call.miss.nearest[0].exchange.position
    assert (position.file, position.line) == (str(HERE), line_of('"built here"'))


def test_an_unknown_name_is_an_error_at_the_call_and_nothing_is_added(server: cometreel.ReplayServer):
    with pytest.raises(cometreel.FileInvalid) as caught:
        server.add(
            exchange("health", get("/health")),
            exchange("late", get("/late"), when=when(after="healht")),  # misspelt
        )
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == (str(HERE), line_of("# misspelt"))
    assert "healht" in problem.found
    assert httpx.get(server.url + "/health").status_code == 404


def test_a_name_in_use_is_an_error(server: cometreel.ReplayServer):
    with pytest.raises(cometreel.FileInvalid, match="'version'"):
        server.add(exchange("version", get("/other")))


def test_an_exchange_that_others_need_is_not_removed(server: cometreel.ReplayServer):
    with pytest.raises(cometreel.OptionInvalid, match="'version' is referred to by the timeline entry in"):
        server.remove("version")
    with pytest.raises(cometreel.OptionInvalid, match="unknown exchange 'versoin'"):
        server.remove("versoin")
    assert httpx.get(server.url + "/version").json() == 8
