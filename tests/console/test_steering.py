"""Sessions, pushes, faults, speed and reset through the page, in a real browser."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tests.chromium import Browser
from tests.console.conftest import Console, Open
from tests.serve.conftest import ASKED, Desktop

CHANNEL = "/v2/me/workbins"
Dial = Callable[[str], socket.socket]


def in_force(console: Console) -> list[object]:
    return [fault["fault"] for fault in console.reel.get("/faults")["faults"]]


# ---------------------------------------------------------------------- sessions and pushes
def test_sessions_show_their_clients_polls_and_subscriptions_as_they_change(console: Open, dial: Dial):
    opened = console()
    opened.open_tab("sessions")
    assert opened.text("#panel-sessions") == "There are no sessions."
    opened.reel.app.auth = ("kate", "any")
    desktop = Desktop(opened.reel.app).handshakes()
    desktop.bayeux(channel="/meta/subscribe", subscription="/v2/me/*")
    opened.shows("#panel-sessions h3", "Session 1kate")
    opened.shows("#panel-sessions .client", "no poll held")
    dial(opened.reel.served.url).sendall(desktop.poll_bytes())
    opened.shows("#panel-sessions .client", "long-polling: poll held")
    assert opened.text("#panel-sessions .channels") == "/v2/me/*"
    opened.shows("#number-held_polls", "1")
    assert desktop.client_id not in str(opened.browser.run("return document.documentElement.outerHTML"))


def test_the_calls_of_a_session_are_a_click_away(console: Open):
    opened = console()
    opened.reel.app.get("/api/v2/page")
    opened.reel.app.cookies.clear()
    opened.reel.app.get("/nowhere")
    opened.open_tab("sessions")
    opened.browser.find("[data-key='calls 2']").click()
    opened.shows("#count", "1 of 2 calls")
    assert opened.rows() == ["GET /nowhere > missed"]


def test_all_sessions_are_listed_in_pages(console: Open):
    opened = console()
    for _ in range(401):
        opened.reel.app.get("/api/v2/page")
        opened.reel.app.cookies.clear()
    opened.open_tab("sessions")
    opened.shows("#panel-sessions h3", "Session 202")
    opened.browser.find("[data-key='first page']").click()
    opened.shows("#panel-sessions h3", "Session 1")
    opened.browser.find("[data-key='next page']").click()
    opened.shows("#panel-sessions h3", "Session 201")
    opened.browser.find("[data-key='next page']").click()
    opened.shows("#panel-sessions h3", "Session 401")
    opened.browser.find("[data-key='latest']").click()
    opened.shows("#panel-sessions h3", "Session 202")


@pytest.mark.parametrize("to", ["all", "session", "user"])
def test_a_notification_is_pushed(console: Open, to: str):
    opened = console()
    opened.reel.app.auth = ("kate", "any")
    desktop = Desktop(opened.reel.app).handshakes()
    opened.open_tab("push")
    opened.fill("#push-channel", CHANNEL)
    opened.fill("#push-data", '{"a": ["<b>", 1.0, null]}')
    if to == "all":
        opened.browser.find("[name=to][value=all]").click()
    else:
        opened.fill(f"#push-{to}", {"session": "1", "user": "kate"}[to])
    opened.browser.find("#push-form .primary").click()
    opened.shows("#push-done", "Sent to session 1.")
    told = [message for message in desktop.poll() if message["channel"] == CHANNEL]
    assert told == [{"channel": CHANNEL, "data": {"a": ["<b>", 1.0, None]}}]


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        ("channel", "workbins", "the text 'workbins'; expected a channel such as /v2/me/workbins"),
        ("data", '{"a": ', "This is not JSON: "),
        ("data", " ", "Enter JSON, for example null."),
        ("session", "9", "no live session has the number 9; expected none: there is no live session"),
        ("session", "one", "enter the number of a session"),
        ("user", "<i>nobody</i>", "'<i>nobody</i>' has no live session"),
    ],
)
def test_an_invalid_push_is_refused_at_its_field(console: Open, field: str, typed: str, problem: str):
    opened = console()
    opened.open_tab("push")
    opened.fill("#push-channel", CHANNEL)
    opened.fill(f"#push-{field}", typed)
    opened.browser.find("#push-form .primary").click()
    opened.shows(f"#push-{field}-problem", problem)
    assert opened.browser.find(f"#push-{field}").get_attribute("aria-invalid") == "true"
    opened.browser.complaints()  # the browser logs each refusal of the server


# ---------------------------------------------------------------------- faults
def test_a_fault_is_added_applied_and_removed(console: Open, browser: Browser):
    opened = console()
    opened.open_tab("faults")
    opened.fill("#fault-exchange", "a page")
    opened.choose("#fault-often", "nth")
    opened.fill("#fault-amount", "1")
    opened.fill("#fault-status", "503")
    opened.fill("#fault-body", '{"busy": true}')
    browser.find("#fault-form .primary").click()
    opened.shows("#fault-done", "Fault 1 is active.")
    assert in_force(opened) == [{"exchange": "a page", "nth": 1, "status": 503, "body": {"busy": True}}]
    opened.shows("#faults", "added here")
    reply = opened.reel.app.get("/api/v2/page")
    assert (reply.status_code, reply.json()) == (503, {"busy": True})
    opened.shows("#rows .row .answered", "fault: ")
    browser.find("#faults button").click()
    opened.shows("#faults", "None.")
    assert in_force(opened) == []


@pytest.mark.parametrize(
    ("at", "action", "typed", "written"),
    [
        ("exchange", "delay", {"delay": "2s"}, {"delay": "2s"}),
        ("exchange", "drop-event", {}, {"drop-event": True}),
        ("exchange", "drop-event", {"drop-event": "2"}, {"drop-event": 2}),
        ("exchange", "duplicate-event", {"duplicate-event": CHANNEL}, {"duplicate-event": CHANNEL}),
        ("exchange", "disconnect", {}, {"disconnect": True}),
        ("exchange", "broken", {}, {"broken": True}),
        ("meta", "status", {"status": "500"}, {"status": 500}),
        ("meta", "error", {"error": "403::no", "advice": '{"reconnect": "none"}'},
         {"error": "403::no", "advice": {"reconnect": "none"}}),
    ],
)  # fmt: skip
def test_each_kind_of_fault_has_a_form(
    console: Open, at: str, action: str, typed: dict[str, str], written: dict[str, object]
):
    opened = console()
    opened.open_tab("faults")
    opened.choose("#fault-at", at)
    if at == "exchange":
        opened.fill("#fault-exchange", "a page")
    opened.choose("#fault-action", action)
    for name, text in typed.items():
        opened.fill(f"#fault-{name}", text)
    opened.browser.find("#fault-form .primary").click()
    opened.shows("#fault-done", "Fault 1 is active.")
    target = "a page" if at == "exchange" else "/meta/handshake"
    (fault,) = in_force(opened)
    assert isinstance(fault, dict)
    assert {name: value for name, value in fault.items() if value is not None} == {at: target, **written}


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        (
            "exchange",
            "a pag",
            "unknown exchange 'a pag'; expected the name of an exchange (did you mean 'a page'?)",
        ),
        ("status", "99", "expected"),
        ("status", "", "enter a value"),
        ("headers", "{", "This is not JSON: "),
        ("amount", "0", "expected"),
        ("as", "nobody", "unknown role 'nobody'"),
        ("session", "7", "no live session has the number 7"),
    ],
)
def test_problems_of_a_fault_are_shown_at_their_fields(console: Open, field: str, typed: str, problem: str):
    opened = console()
    opened.open_tab("faults")
    opened.fill("#fault-exchange", "a page")
    opened.fill("#fault-status", "503")
    if field == "amount":
        opened.choose("#fault-often", "every")
    opened.fill(f"#fault-{field}", typed)
    opened.browser.find("#fault-form .primary").click()
    opened.shows(f"#fault-{'often' if field == 'amount' else field}-problem", problem)
    assert opened.text("#fault-problem") == ""
    assert in_force(opened) == []
    opened.browser.complaints()


def test_the_json_of_a_fault_starts_with_the_values_of_the_form(console: Open, browser: Browser):
    opened = console()
    opened.open_tab("faults")
    opened.fill("#fault-exchange", "a page")
    opened.fill("#fault-status", "503")
    browser.find("[name=fault-mode][value=json]").click()
    raw = str(browser.run("return document.querySelector('#fault-json').value"))
    assert raw.split() == ["{", '"exchange":', '"a', 'page",', '"status":', "503", "}"]
    opened.fill("#fault-json", '{"exchange": "a page", "stauts": 1}')
    browser.find("#fault-form .primary").click()
    opened.shows("#fault-json-problem", "unknown key 'stauts'")
    opened.fill("#fault-json", '{"exchange": ["a page", "nothing"], "broken": true}')
    browser.find("#fault-form .primary").click()
    opened.shows("#fault-done", "is active.")
    assert in_force(opened) == [{"exchange": ["a page", "nothing"], "broken": True}]
    browser.complaints()


# ---------------------------------------------------------------------- speed and reset
def test_the_speed_is_set(console: Open, browser: Browser):
    opened = console()
    opened.fill("#speed", "2.5")
    browser.find("#speed-form button").click()
    browser.wait(lambda: opened.reel.get("/settings")["speed"] == 2.5 or None, "the speed isn't 2.5")
    opened.fill("#speed", "-1")
    browser.find("#speed-form button").click()
    opened.shows("#speed-problem", "0 or more")
    opened.fill("#speed", "fast")
    browser.find("#speed-form button").click()
    opened.shows("#speed-problem", "Enter a number, 0 or more.")
    assert opened.reel.get("/settings")["speed"] == 2.5
    browser.complaints()


def test_changes_of_other_clients_are_shown(console: Open):
    opened = console()
    opened.reel.admin.put("/speed", json={"speed": 7})
    opened.browser.wait(
        lambda: opened.browser.run("return document.querySelector('#speed').value") == "7" or None, "no 7"
    )


def test_a_restart_needs_confirmation(console: Open, browser: Browser):
    opened = console()
    opened.reel.app.post("/api/v2/workbins", json=ASKED)
    opened.reel.app.get("/nowhere")
    opened.shows("#count", "2 calls")
    browser.find("#reset").click()
    browser.find("#reset-no").click()
    assert len(opened.reel.get("/calls")["calls"]) == 2
    browser.find("#reset").click()
    browser.find("#reset-yes").click()
    opened.shows("#count", "0 calls")
    opened.shows("#number-sessions", "0")
    assert opened.reel.get("/calls") == {"calls": []}
    opened.reel.app.get("/api/v2/page")
    opened.shows("#count", "1 call")


# ---------------------------------------------------------------------- the clock
def test_the_clock_is_advanced_resumed_and_frozen(console: Open, browser: Browser):
    opened = console(clock="manual")
    before = opened.reel.get("/clock")["now"]
    opened.shows("#clock-now", before[:19].replace("T", " "))
    opened.fill("#clock-by", "8h")
    browser.find("#clock-advance").click()
    opened.shows("#announcement", "Advanced: 0 notifications, 0 polls timed out, 0 sessions expired.")
    after = opened.reel.get("/clock")["now"]
    opened.shows("#clock-now", after[:19].replace("T", " "))
    assert datetime.fromisoformat(after) - datetime.fromisoformat(before) == timedelta(hours=8)
    opened.fill("#clock-by", "soon")
    browser.find("#clock-advance").click()
    opened.shows("#clock-problem", "'soon' is not a duration")
    browser.find("#clock-run").click()
    opened.shows("#clock-run", "Freeze")
    assert opened.reel.get("/clock")["frozen"] is False
    browser.find("#clock-run").click()
    opened.shows("#clock-run", "Resume")
    assert opened.reel.get("/clock")["frozen"] is True
    browser.complaints()  # the refused duration


def test_the_real_clock_has_no_controls(console: Open, browser: Browser):
    opened = console()
    opened.shows("#number-calls", "0")
    assert not browser.find("#clock-form").is_displayed()
