"""The page in a real Chromium: drawing, details, filters and latencies."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from selenium.webdriver import ActionChains

from cometreel.cli import ExitCode, run
from cometreel.jsonvalue import JSONObject
from cometreel.show import Times, latencies_of, read_conversation
from tests.chromium import Browser
from tests.show.page_elements import bodies, choose, count, details, item, names, small
from tests.unit.show.journal_texts import CHANNEL, JournalBuilder, broadcast, three_agents

SAMPLE = Path(__file__).parents[2] / "recordings" / "workbin-desktop.jsonl"

DASH = "\u2013"
Draw = Callable[..., Path]


def test_every_part_of_the_conversation_is_drawn(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    assert names(browser) == ["stats of place Place1", "stats of agent group Sales", "me, refused"]
    drawn = {
        sign: len(browser.all(f"#lanes {sign}"))
        for sign in (".arrow", ".arrow.early", ".notification", ".notification.early")
    }
    assert drawn == {".arrow": 2, ".arrow.early": 1, ".notification": 2, ".notification.early": 1}
    others = {sign: len(browser.all(f"#lanes {sign}")) for sign in (".unsolicited", ".poll", ".meta", ".fault")}
    assert others == {".unsolicited": 1, ".poll": 3, ".meta": 1, ".fault": 1}
    assert [name.text for name in browser.all("#lanes .lane-name")] == ["agent-1", "agent-2"]
    facts = ["journal", "4.03 s", "2 sessions", "3 exchanges", "3 notifications", "3 polls"]
    assert browser.find("#facts").text.split(" · ") == facts


def test_a_poll_is_as_long_as_it_was_held(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    first, second, third = (float(poll.get_attribute("width") or 0) for poll in browser.all("#lanes .poll"))
    assert first / second == pytest.approx(1.1 / 0.5, rel=0.02)
    assert second == pytest.approx(third, abs=0.1)


def test_an_arrow_leads_from_the_request_to_the_notification(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    bar = browser.find("#lanes .exchange .bar")
    arrow = browser.find("#lanes .arrow").get_attribute("d") or ""
    notification = browser.find("#lanes .notification").get_attribute("d") or ""
    begin, end = re.findall(r"^M([\d.]+)", arrow)[0], arrow.split()[-2]
    assert float(begin) == pytest.approx(float(bar.get_attribute("x") or 0) + 1)
    assert float(end) == pytest.approx(float(re.findall(r"^M([\d.]+)", notification)[0]))


def test_an_arrow_leads_to_each_receiver(browser: Browser, draw: Draw):
    browser.open(draw(broadcast()))
    assert [name.text for name in browser.all("#lanes .lane-name")] == ["agent-1", "agent-2"]
    arrows = [arrow.get_attribute("d") or "" for arrow in browser.all("#lanes .arrow")]
    places = [notification.location["y"] for notification in browser.all("#lanes .notification")]
    assert len(arrows) == len(places) == 2
    assert places[0] < places[1]
    assert len({arrow.split("C")[0] for arrow in arrows}) == 1, "both begin at the request"
    browser.find("#lanes .notification").click()
    assert "after 300 ms, session agent-2" in browser.find("#details").text


def test_a_click_shows_the_bodies_with_unchanged_numbers(browser: Browser, draw: Draw):
    journal = small()
    journal.call(5.0, "bob", "GET", "/api/v2/big", reply={"id": 12345678901234567890, "empty": {}, "list": [1, []]})
    browser.open(draw(journal))
    item(browser, "big").click()
    assert details(browser) == "big"
    assert bodies(browser) == ['{\n  "id": 12345678901234567890,\n  "empty": {},\n  "list": [\n    1,\n    []\n  ]\n}']


def test_a_click_on_a_notification_shows_its_exchange(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    browser.all("#lanes [data-notification]")[1].click()
    assert details(browser) == "stats of agent group Sales"
    heading = browser.find("#details h4.notification")
    assert heading.text.split("\n") == ["WorkbinStatsMessage", "+200 ms early"]


@pytest.mark.parametrize(
    ("sign", "title"),
    [(".unsolicited-item", "WorkbinStateChangeMessage"), (".held", "Held poll"), (".meta-item", "/meta/handshake")],
)
def test_everything_can_be_clicked(browser: Browser, draw: Draw, sign: str, title: str):
    browser.open(draw(small()))
    browser.find(f"#lanes {sign}").click()
    assert details(browser) == title


def test_hovering_shows_a_tooltip_and_highlights_the_exchange(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    tip = browser.find("#tip")
    assert not tip.is_displayed()
    ActionChains(browser.driver).move_to_element(browser.find("#lanes [data-notification]")).perform()
    assert tip.is_displayed()
    assert tip.text.startswith("WorkbinStatsMessage\nstats of place Place1\nPOST /api/v2/workbins\n200 after 200 ms\n")
    assert '"Count": 3' in tip.text
    highlighted = {one.get_attribute("data-item") for one in browser.all("#lanes .highlighted")}
    assert (highlighted, len(browser.all("#lanes .highlighted"))) == ({"x0"}, 3)  # its bar, its arrow, its notification
    ActionChains(browser.driver).move_to_element(browser.find("h1")).perform()
    assert not tip.is_displayed()


def test_a_websocket_is_drawn_with_its_frames_and_polls(browser: Browser, draw: Draw):
    journal = JournalBuilder()
    connect: JSONObject = {"channel": "/meta/connect", "id": "1"}
    journal.event(0.0, "open", flow="w1", method="GET", path="/cometd")
    journal.event(0.5, "frame", flow="w1", **{"from": "client"}, bayeux=[connect])
    journal.event(1.5, "frame", flow="w1", **{"from": "server"}, bayeux=[{**connect, "successful": True}])
    journal.event(2.0, "close", flow="w1", status=1000)
    browser.open(draw(journal))
    drawn = {sign: len(browser.all(f"#lanes {sign}")) for sign in (".socket", ".frame", ".frame.sent", ".poll")}
    assert drawn == {".socket": 1, ".frame": 2, ".frame.sent": 1, ".poll": 1}
    browser.find("#lanes .socket").click()
    assert details(browser) == "WebSocket"
    assert browser.find("#details .pairs").text.split("\n")[-1] == "1 sent, 1 received"


FILTERS = [
    ("operation", "GET", ["me, refused"]),
    ("owner", "AgentGroup", ["stats of agent group Sales"]),
    ("owner", "none", ["me, refused"]),
    ("lane", "agent-2 (user-bob)", ["me, refused"]),
    ("channel", CHANNEL, ["stats of place Place1", "stats of agent group Sales"]),
]


@pytest.mark.parametrize(("field", "words", "left"), FILTERS)
def test_each_filter_keeps_matching_exchanges(browser: Browser, draw: Draw, field: str, words: str, left: list[str]):
    browser.open(draw(small()))
    choose(browser, field, words)
    assert names(browser) == left
    assert count(browser) == f"{len(left)} of 3 exchanges"


@pytest.mark.parametrize(
    ("text", "left"),
    [("place1", 1), ("wb-1", 1), ('"statusCode":20', 1), ("answered 403", 1), ("/api/v2", 3), ("nowhere", 0)],
)
def test_the_text_filter_searches_names_paths_bodies_and_faults(browser: Browser, draw: Draw, text: str, left: int):
    browser.open(draw(small()))
    browser.find("#filter-text").send_keys(text)
    browser.settle()
    assert (len(names(browser)), count(browser)) == (left, f"{left} of 3 exchanges")


def test_reset_shows_all_exchanges_again(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    browser.find("#filter-text").send_keys("nowhere at all")
    choose(browser, "lane", "agent-1 (user-ann)")
    choose(browser, "operation", "GET")
    assert names(browser) == []
    browser.find("#filter-reset").click()
    browser.wait(lambda: count(browser) == "3 of 3 exchanges", "the filters are not lifted")
    browser.settle()
    assert len(names(browser)) == 3


def rows(browser: Browser) -> list[list[str]]:
    return [
        [cell.text for cell in row.find_elements("css selector", "td")] for row in browser.all("#latencies tbody tr")
    ]


def test_the_table_has_the_figures_of_the_terminal(browser: Browser, draw: Draw, tmp_path: Path):
    journal = three_agents()
    browser.open(draw(journal))
    expected = latencies_of(read_conversation(journal.path(tmp_path)).exchanges)

    def figures(times: Times) -> list[str]:
        if not times.seconds:
            return [DASH] * 3
        return [f"{times.percentile(share) * 1000:.0f} ms" for share in (0.5, 0.95, 1.0)]

    assert rows(browser) == [
        [
            row.operation,
            row.owner_type or DASH,
            str(row.count),
            *figures(row.ack),
            "",
            *figures(row.notification),
            "",
        ]
        for row in expected
    ]
    bars = browser.all("#latencies tbody tr:nth-child(3) td.notification .bar")
    assert len(bars) == sum(bar > 0 for bar in expected[2].notification.histogram)


def test_a_click_on_a_table_row_filters(browser: Browser, draw: Draw):
    browser.open(draw(small()))
    browser.find("#latencies tbody tr:nth-child(2)").click()
    browser.settle()
    assert names(browser) == ["stats of agent group Sales"]
    assert [row[0] for row in rows(browser)] == ["RequestAgentStats"]


def test_the_shipped_sample_is_drawn(browser: Browser, tmp_path: Path):
    page = tmp_path / "sample.html"
    assert run(["show", str(SAMPLE), "-o", str(page)]) == ExitCode.SUCCESS
    browser.open(page)
    assert len(names(browser)) == 25
    assert browser.find("#lanes").get_attribute("data-drawn") == str(len(browser.all("#lanes .item")))
