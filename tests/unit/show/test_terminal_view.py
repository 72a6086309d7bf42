"""The conversation as text: 100 columns, without colours, and with escaped control characters."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from cometreel.show import compare, print_comparison, print_conversation, read_conversation
from cometreel.show.terminal_view import printable
from tests.unit.show.journal_texts import JournalBuilder, broadcast, notification, three_agents, unsolicited


class _Ascii(io.StringIO):
    encoding = "ascii"


def printed(path: Path, file: io.StringIO | None = None) -> list[str]:
    file = file or io.StringIO()
    print_conversation(read_conversation(path), Console(file=file, width=100, highlight=False, markup=False))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def small(folder: Path) -> Path:
    journal = JournalBuilder()
    journal.meta(0.0, "ann", "/meta/handshake")
    journal.poll(0.1, 0.4, "ann", notification(67))
    journal.stats(0.2, "ann", 67, "Place1", "Place", after=0.05)
    journal.stats(0.45, "ann", 68, after=0.2)
    journal.poll(0.41, 0.5, "ann", notification(68))
    journal.poll(0.51, 0.9, "ann", unsolicited())
    journal.poll(0.91, None, "ann")
    journal.call(1.0, "ann", "POST", "/api/v2/workbins/wb-1", {"operationName": "Subscribe"}, status=404)
    return journal.path(folder)


SMALL = """\
written  journal of 1.0 s, 1 session, 3 exchanges, 3 notifications, 4 polls
━━━ until the reply  ┄┄┄ until the last notification  ◆ notification  ═══ held connection

agent-1  user-ann
   0.000  ○                                                 handshake
   0.100  ═══                 held  300 ms                  poll, 1 message
   0.200  ━━━━━┄┄┄┄┄┄┄┄┄┄┄┄◆  200    50 ms  ◆ 200 ms        stats of place Place1
   0.410  ═══                 held   90 ms                  poll, 1 message
   0.450  ━━━━◆━━━━━━━━━━━━━  200   200 ms  ◆ 50 ms early   stats of my workbins
   0.510  ═══                 held  390 ms                  poll, 1 message
   0.900  ◆                   unsolicited                   /v2/me/workbins WorkbinStateChangeMessa…
   0.910  ═══                 held                          poll, still held at the end
   1.000  ━━━                 404    30 ms                  subscribe workbins wb-1, failed

Latencies  bars: 1 ms to 30 s, from left to right
operation         owner type n ack p50    p95                 push p50    p95
""".splitlines()


def test_a_conversation_is_printed_in_order_of_time(tmp_path: Path):
    lines = printed(small(tmp_path))
    assert lines[: len(SMALL) - 1] == SMALL[:-1]
    assert [line.split()[0] for line in lines[len(SMALL) :] if line][:3] == [
        "RequestAgentStats",
        "RequestAgentStats",
        "Subscribe",
    ]


BROADCAST = """\
agent-1
   0.000  ○                                                 handshake
   0.100  ○                                                 subscribe /chat
   0.500  ═══                 held  700 ms                  poll, 1 message
   1.000  ━┄┄┄┄┄┄┄┄┄┄◆┄┄┄┄┄◆  ok    15 ms   ◆ 200 ms        publish /chat
                                            ◆ 300 ms        → agent-2: /chat

agent-2
   0.000  ○                                                 handshake
   0.100  ○                                                 subscribe /chat
   0.500  ═══                 held  800 ms                  poll, 1 message
   1.300  ◆                   of publish /chat              /chat
""".splitlines()


def test_each_receiver_of_a_notification_is_printed(tmp_path: Path):
    lines = printed(broadcast().path(tmp_path))
    assert lines[3 : 3 + len(BROADCAST)] == BROADCAST


def test_no_line_is_longer_than_100_columns(tmp_path: Path):
    lines = printed(three_agents().path(tmp_path))
    assert max(map(len, lines)) <= 100


def test_without_unicode_the_drawing_is_ascii(tmp_path: Path):
    lines = printed(small(tmp_path), _Ascii())
    assert all(line.isascii() for line in lines)
    assert "   0.200  =====............*  200    50 ms  * 200 ms        stats of place Place1" in lines


def test_the_text_is_the_same_with_and_without_colour(tmp_path: Path):
    path = small(tmp_path)
    coloured = io.StringIO()
    console = Console(file=coloured, width=100, highlight=False, markup=False, force_terminal=True, color_system="256")
    print_conversation(read_conversation(path), console)
    assert "\x1b[" in coloured.getvalue()
    assert [Text.from_ansi(line).plain.rstrip() for line in coloured.getvalue().splitlines()] == printed(path)


HOSTILE = "\x1b[31mred\x1b]0;title\x07 \u202eesrever\u2028[bold]x[/bold]\x9b2J"


def test_terminal_control_characters_are_escaped(tmp_path: Path):
    journal = JournalBuilder()
    journal.call(0.0, "ann", "POST", "/api/v2/x", {"operationName": HOSTILE, "workbinType": HOSTILE}, status=404)
    journal.poll(0.1, 0.2, "ann", {"channel": f"/{HOSTILE}", "data": {"messageType": HOSTILE}})
    journal.poll(0.3, 0.4, "ann", error=HOSTILE)
    journal.event(0.5, "mark", text=HOSTILE)
    text = "\n".join(printed(journal.path(tmp_path, "evil")))
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2028")
    assert "remark: \\x1b[31mred" in text
    assert "[bold]" in text


@pytest.mark.parametrize(
    ("text", "expected"), [("Zoë 🎬", "Zoë 🎬"), ("a\tb\n", "a\\tb\\n"), ("\ud800", "\\ud800"), ("\u200f", "\\u200f")]
)
def test_letters_of_all_languages_are_printed(text: str, expected: str):
    assert printable(text) == expected


def test_a_comparison_prints_differences_and_counts(tmp_path: Path):
    before, after = JournalBuilder(), JournalBuilder()
    for journal, count in ((before, 1), (after, 2)):
        journal.call(0.0, "ann", "GET", "/api/v2/me", reply={"count": count})
        journal.call(0.1, "ann", "GET", "/api/v2/same")
    before.call(0.2, "ann", "GET", "/api/v2/old")
    after.poll(0.3, 0.4, "ann", unsolicited())
    found = compare(read_conversation(before.path(tmp_path, "a")), read_conversation(after.path(tmp_path, "b")))
    file = io.StringIO()
    print_comparison(found, Console(file=file, width=100, highlight=False, markup=False))
    assert file.getvalue() == (
        "a → b  1 same, 1 changed, 0 added, 1 removed\n"
        "\n"
        "~ me  (changed, GET /api/v2/me)\n"
        "    reply\n"
        "       {\n"
        '      -  "count": 1\n'
        '      +  "count": 2\n'
        "       }\n"
        "\n"
        "- old  (removed, GET /api/v2/old)\n"
        "+ /v2/me/workbins  WorkbinStateChangeMessage  (added, unsolicited)\n"
    )
