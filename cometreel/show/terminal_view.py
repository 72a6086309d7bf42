"""The conversation as text: one line for each thing that was said, a drawing of its time, and the latencies.

Reads well in a log of 100 columns and without colour. Text from recordings can't move the cursor or set colours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console, OverflowMethod
from rich.table import Table
from rich.text import Text

from cometreel.show.comparison import Comparison, PairState
from cometreel.show.conversation import (
    Conversation,
    ConversationExchange,
    ConversationNotification,
    HeldPoll,
    MetaMessage,
    WebSocketSpan,
)
from cometreel.show.latencies import Times, latencies_of

__all__ = ["COLUMNS", "print_comparison", "print_conversation"]

COLUMNS = 100
_TIME_WIDTH = 8
_BAR_WIDTH = 18
_TIMES_WIDTH = 28
_SIGNS: dict[PairState, str] = {"same": " ", "changed": "~", "added": "+", "removed": "-"}
_STYLES: dict[PairState, str] = {"same": "", "changed": "yellow", "added": "green", "removed": "red"}
_STEPS = " ▁▂▃▄▅▆▇█"
_OnLane = TypeVar("_OnLane", ConversationExchange, ConversationNotification, HeldPoll, MetaMessage, WebSocketSpan)


@dataclass(frozen=True, slots=True)
class _BarStyle:
    """What bars are made of; ASCII where the terminal knows no more."""

    ack: str = "━"
    wait: str = "┄"
    told: str = "◆"
    held: str = "═"
    step: str = "○"
    levels: str = _STEPS
    dash: str = "-"
    arrow: str = "→"
    cut: OverflowMethod = "ellipsis"


_ASCII = _BarStyle("=", ".", "*", "-", "o", " .:-=+*#@", "-", "->", "crop")


def print_conversation(conversation: Conversation, console: Console) -> None:
    """Print a conversation, lane by lane."""
    ink = _ink(console)
    _headline(conversation.title, _counts(conversation), console)
    _legend(ink, conversation, console)
    longest = max((exchange.end - exchange.at for exchange in conversation.exchanges), default=0.0)
    for number, lane in enumerate(conversation.lanes):
        console.print()
        console.print(Text(printable(lane.name), style="bold") + Text(f"  {printable(lane.detail)}", style="dim"))
        for _, line in sorted(_lane(conversation, number, longest, ink), key=lambda pair: pair[0]):
            console.print(line, no_wrap=True, overflow=ink.cut)
    for mark in conversation.marks:
        console.print(Text(f"{_moment(mark.at)}  remark: {printable(mark.text)}"))
    _latencies(conversation.exchanges, console, ink)
    _sentences("Faults of the CometD session", conversation.faults, console)
    _sentences("Notes", conversation.notes, console)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print what differs between two conversations; what is the same is only counted."""
    before, after = comparison.before, comparison.after
    counts = ", ".join(f"{number} {state}" for state, number in comparison.counts().items())
    _headline(f"{before.title} {_ink(console).arrow} {after.title}", counts, console)
    for pair in comparison.pairs:
        shown, state = pair.shown, pair.state
        if state == "same":
            continue
        console.print()
        line = f"{_SIGNS[state]} {printable(shown.name)}  ({state}, {shown.method} {printable(shown.target)})"
        console.print(Text(line, style=_STYLES[state]), soft_wrap=True)
        for change in pair.changes:
            console.print(Text(f"    {printable(change.what)}"), soft_wrap=True)
            for each in change.lines:
                style = {"+": "green", "-": "red"}.get(each[:1], "dim")
                console.print(Text(f"      {printable(each)}", style=style), soft_wrap=True)
    for told, state in comparison.unsolicited:
        if state != "same":
            line = f"{_SIGNS[state]} {printable(told.channel)}  {printable(told.kind)}  ({state}, nobody asked for it)"
            console.print(Text(line, style=_STYLES[state]), soft_wrap=True)


def printable(text: str) -> str:
    """A text without what a terminal would obey or turn around: controls, marks of direction, lone surrogates."""
    return "".join(each if unicodedata.category(each)[0] != "C" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


# --- lanes ----------------------------------------------------------------------------------------------------


def _lane(conversation: Conversation, lane: int, longest: float, ink: _BarStyle) -> Iterator[tuple[float, Text]]:
    """Every line of a lane, with its time."""
    for exchange in _on(lane, conversation.exchanges):
        yield from ((exchange.at, line) for line in _exchange(exchange, longest, ink))
    for told in _on(lane, conversation.unsolicited):
        yield told.at, _line(told.at, ink.told, f"{told.channel} {told.kind}".strip(), "nobody asked", "magenta")
    yield from ((poll.at, _poll(poll, ink)) for poll in _on(lane, conversation.polls))
    yield from ((step.at, _step(step, ink)) for step in _on(lane, conversation.steps))
    yield from ((socket.at, _socket(socket, ink)) for socket in _on(lane, conversation.sockets))


def _on(lane: int, things: Sequence[_OnLane]) -> list[_OnLane]:
    return [one for one in things if one.lane == lane]


def _exchange(exchange: ConversationExchange, longest: float, ink: _BarStyle) -> Iterator[Text]:
    ack = exchange.ack_seconds
    acked = f"{exchange.status} {_ms(ack):>8}" if ack is not None else "no reply"
    times = f"{acked:<12}  {_notified(exchange, ink)}"
    style = "red" if exchange.faults else "dim"
    yield _line(exchange.at, _bar(exchange, longest, ink), exchange.name, times, "cyan", style)
    for fault in exchange.faults:
        if not fault.startswith("answered "):
            yield _line(None, "", f"! {fault}", "", "", "red")


def _notified(exchange: ConversationExchange, ink: _BarStyle) -> str:
    """The one notification, or how many there are and when the first and the last came."""
    told = exchange.notifications
    if not told:
        return ""
    early = " early" if exchange.is_early(told[0]) else ""
    if len(told) == 1:
        return f"{ink.told} {_ms(told[0].at - exchange.at)}{early}"
    first, last = (one.at - exchange.at for one in (told[0], told[-1]))
    return f"{len(told)}{ink.told} {first * 1000:.0f}{ink.dash}{_ms(last)}"


def _bar(exchange: ConversationExchange, longest: float, ink: _BarStyle) -> str:
    """The time of an exchange, on a scale that is the same for all."""

    def place(at: float) -> int:
        return min(_BAR_WIDTH - 1, int((at - exchange.at) / longest * (_BAR_WIDTH - 1))) if longest > 0 else 0

    cells = [" "] * _BAR_WIDTH
    for cell in range(place(exchange.end) + 1):
        cells[cell] = ink.wait
    if exchange.reply_at is not None:
        for cell in range(place(exchange.reply_at) + 1):
            cells[cell] = ink.ack
    for one in exchange.notifications:
        cells[place(one.at)] = ink.told
    return "".join(cells)


def _poll(poll: HeldPoll, ink: _BarStyle) -> Text:
    held = "" if poll.until is None else _ms(poll.until - poll.at)
    words = {
        "answered": _number(poll.messages, "message"),
        "empty": "nothing came",
        "refused": f"refused: {poll.detail}",
        "broken": f"broken: {poll.detail}",
        "open": "still held at the end",
    }
    return _line(poll.at, ink.held * 3, f"poll, {words[poll.ending]}", f"held {held:>7}", "yellow", "dim")


def _step(step: MetaMessage, ink: _BarStyle) -> Text:
    words = f"{step.channel.removeprefix('/meta/')} {step.detail}".strip()
    refused = f", refused: {step.refused}" if step.refused else ""
    return _line(step.at, ink.step, words + refused, "", "", "red" if refused else "dim")


def _socket(socket: WebSocketSpan, ink: _BarStyle) -> Text:
    lasted = f"open {_ms(socket.until - socket.at):>7}" if socket.until is not None else "open to the end"
    sent = sum(frame.sent for frame in socket.frames)
    words = f"WebSocket, {_number(sent, 'frame')} sent, {len(socket.frames) - sent} received"
    return _line(socket.at, ink.held * 3, words, lasted, "green", "dim")


def _line(at: float | None, bar: str, words: str, times: str, colour: str, style: str = "") -> Text:
    """One line: when, drawn, the times in figures, what."""
    moment = " " * _TIME_WIDTH if at is None else _moment(at)
    text = Text(f"{moment}  ", style="dim")
    text.append(f"{bar:<{_BAR_WIDTH}}  ", style=colour)
    text.append(f"{times:<{_TIMES_WIDTH}}  ", style=style)
    return text.append(printable(words), style=style if style == "red" else "")


# --- around the lanes -----------------------------------------------------------------------------------------


def _headline(title: str, rest: str, console: Console) -> None:
    console.print(Text(printable(title), style="bold") + Text(f"  {rest}"), soft_wrap=True)


def _counts(conversation: Conversation) -> str:
    told = len(conversation.unsolicited) + sum(len(exchange.notifications) for exchange in conversation.exchanges)
    things = [
        f"{conversation.source} of {conversation.seconds:.1f} s",
        _number(len(conversation.lanes), "session" if conversation.source == "journal" else "role"),
        _number(len(conversation.exchanges), "exchange"),
        _number(told, "notification"),
    ]
    polls = [_number(len(conversation.polls), "poll")] if conversation.polls else []
    return ", ".join(things + polls)


def _legend(ink: _BarStyle, conversation: Conversation, console: Console) -> None:
    words = f"{ink.ack * 3} until the reply  {ink.wait * 3} until the last notification  {ink.told} notification"
    if conversation.polls or conversation.sockets:
        words += f"  {ink.held * 3} held connection"
    console.print(Text(words, style="dim"))


def _latencies(exchanges: tuple[ConversationExchange, ...], console: Console, ink: _BarStyle) -> None:
    rows = latencies_of(exchanges)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("operation", no_wrap=True, overflow=ink.cut, width=19)
    table.add_column("owner type", no_wrap=True, overflow=ink.cut, width=10)
    table.add_column("n", justify="right", no_wrap=True)
    for heading in ("ack", "told"):
        table.add_column(f"{heading} p50", justify="right", no_wrap=True)
        table.add_column("p95", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True, width=15)
    for row in rows:
        cells = (*_cells(row.ack, ink), *_cells(row.notification, ink))
        owner = printable(row.owner_type) or ink.dash
        table.add_row(Text(printable(row.operation)), Text(owner), str(row.count), *cells)
    console.print()
    console.print(Text("Latencies", style="bold") + Text("  bars: 1 ms to 30 s, from left to right"))
    console.print(table)


def _cells(times: Times, ink: _BarStyle) -> tuple[str, str, str]:
    if not times.seconds:
        return ink.dash, ink.dash, ""
    return _ms(times.percentile(0.5)), _ms(times.percentile(0.95)), _histogram(times, ink)


def _histogram(times: Times, ink: _BarStyle) -> str:
    bars = times.histogram
    top = len(ink.levels) - 1
    return "".join(ink.levels[-(-bar * top // max(bars))] for bar in bars)


def _sentences(title: str, sentences: tuple[str, ...], console: Console) -> None:
    if sentences:
        console.print()
        console.print(Text(title, style="bold"))
        for sentence in sentences:
            console.print(Text(f"  {printable(sentence)}"))


def _moment(seconds: float) -> str:
    return f"{seconds:{_TIME_WIDTH}.3f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _number(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _ink(console: Console) -> _BarStyle:
    return _ASCII if console.options.ascii_only else _BarStyle()
