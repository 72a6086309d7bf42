"""Prints a conversation as text: one line per item with a bar for its time, and the latencies.

The output fits 100 columns and needs no colours. Text from recordings can't contain terminal control sequences.
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
_BAR_LEVELS = " ▁▂▃▄▅▆▇█"
_OnLane = TypeVar("_OnLane", ConversationExchange, ConversationNotification, HeldPoll, MetaMessage, WebSocketSpan)


@dataclass(frozen=True, slots=True)
class _Symbols:
    """The characters of the drawing; `_ASCII` for terminals without Unicode."""

    ack: str = "━"
    wait: str = "┄"
    notification: str = "◆"
    held: str = "═"
    meta_message: str = "○"
    levels: str = _BAR_LEVELS
    dash: str = "-"
    arrow: str = "→"
    cut: OverflowMethod = "ellipsis"


_ASCII = _Symbols("=", ".", "*", "-", "o", " .:-=+*#@", "-", "->", "crop")


def print_conversation(conversation: Conversation, console: Console) -> None:
    """Print a conversation, lane by lane."""
    symbols = _symbols(console)
    _headline(conversation.title, _counts(conversation), console)
    _legend(symbols, conversation, console)
    longest = max((exchange.end - exchange.at for exchange in conversation.exchanges), default=0.0)
    for number, lane in enumerate(conversation.lanes):
        console.print()
        console.print(Text(printable(lane.name), style="bold") + Text(f"  {printable(lane.detail)}", style="dim"))
        for _, line in sorted(_lane(conversation, number, longest, symbols), key=lambda pair: pair[0]):
            console.print(line, no_wrap=True, overflow=symbols.cut)
    for mark in conversation.marks:
        console.print(Text(f"{_time(mark.at)}  remark: {printable(mark.text)}"))
    _latencies(conversation.exchanges, console, symbols)
    _sentences("Faults of the CometD session", conversation.faults, console)
    _sentences("Notes", conversation.notes, console)


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print the differences of two conversations, and the number of equal exchanges."""
    before, after = comparison.before, comparison.after
    counts = ", ".join(f"{number} {state}" for state, number in comparison.counts().items())
    _headline(f"{before.title} {_symbols(console).arrow} {after.title}", counts, console)
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
    for notification, state in comparison.unsolicited:
        if state != "same":
            name = f"{printable(notification.channel)}  {printable(notification.kind)}"
            line = f"{_SIGNS[state]} {name}  ({state}, unsolicited)"
            console.print(Text(line, style=_STYLES[state]), soft_wrap=True)


def printable(text: str) -> str:
    """Escape control characters, direction marks and lone surrogates."""
    return "".join(each if unicodedata.category(each)[0] != "C" else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


# --- lanes ----------------------------------------------------------------------------------------------------


def _lane(conversation: Conversation, lane: int, longest: float, symbols: _Symbols) -> Iterator[tuple[float, Text]]:
    """Yield the lines of a lane with their times."""
    for exchange in _on(lane, conversation.exchanges):
        yield from ((exchange.at, line) for line in _exchange(exchange, longest, symbols))
        for one in exchange.notifications:
            if one.lane != lane:
                receiver = conversation.lanes[one.lane].name
                words = f"{symbols.arrow} {receiver}: {one.label}"
                times = f"{symbols.notification} {_ms(one.at - exchange.at)}"
                yield exchange.at, _line(None, "", words, f"{'':<12}  {times}", "magenta", "dim")
    for exchange in conversation.exchanges:
        for one in _on(lane, exchange.notifications) if exchange.lane != lane else ():
            yield one.at, _line(one.at, symbols.notification, one.label, f"of {exchange.name}", "cyan")
    for one in _on(lane, conversation.unsolicited):
        yield one.at, _line(one.at, symbols.notification, f"{one.channel} {one.kind}".strip(), "unsolicited", "magenta")
    yield from ((poll.at, _poll(poll, symbols)) for poll in _on(lane, conversation.polls))
    yield from ((one.at, _meta_message(one, symbols)) for one in _on(lane, conversation.meta_messages))
    yield from ((socket.at, _socket(socket, symbols)) for socket in _on(lane, conversation.sockets))


def _on(lane: int, things: Sequence[_OnLane]) -> list[_OnLane]:
    return [one for one in things if one.lane == lane]


def _exchange(exchange: ConversationExchange, longest: float, symbols: _Symbols) -> Iterator[Text]:
    ack = exchange.ack_seconds
    acked = f"{exchange.status} {_ms(ack):>8}" if ack is not None else "no reply"
    times = f"{acked:<12}  {_notified(exchange, symbols)}"
    style = "red" if exchange.faults else "dim"
    yield _line(exchange.at, _bar(exchange, longest, symbols), exchange.name, times, "cyan", style)
    for fault in exchange.faults:
        if not fault.startswith("answered "):
            yield _line(None, "", f"! {fault}", "", "", "red")


def _notified(exchange: ConversationExchange, symbols: _Symbols) -> str:
    """Format the time of the notification, or the number of notifications and the times of the first and last."""
    notifications = [one for one in exchange.notifications if one.lane == exchange.lane]
    if not notifications:
        return ""
    early = " early" if exchange.is_early(notifications[0]) else ""
    if len(notifications) == 1:
        return f"{symbols.notification} {_ms(notifications[0].at - exchange.at)}{early}"
    first, last = (one.at - exchange.at for one in (notifications[0], notifications[-1]))
    return f"{len(notifications)}{symbols.notification} {first * 1000:.0f}{symbols.dash}{_ms(last)}"


def _bar(exchange: ConversationExchange, longest: float, symbols: _Symbols) -> str:
    """Draw the times of an exchange, with the same scale for all."""

    def place(at: float) -> int:
        return min(_BAR_WIDTH - 1, int((at - exchange.at) / longest * (_BAR_WIDTH - 1))) if longest > 0 else 0

    cells = [" "] * _BAR_WIDTH
    for cell in range(place(exchange.end) + 1):
        cells[cell] = symbols.wait
    if exchange.reply_at is not None:
        for cell in range(place(exchange.reply_at) + 1):
            cells[cell] = symbols.ack
    for one in exchange.notifications:
        cells[place(one.at)] = symbols.notification
    return "".join(cells)


def _poll(poll: HeldPoll, symbols: _Symbols) -> Text:
    held = "" if poll.until is None else _ms(poll.until - poll.at)
    words = {
        "answered": _number(poll.messages, "message"),
        "empty": "empty",
        "refused": f"refused: {poll.detail}",
        "broken": f"broken: {poll.detail}",
        "open": "still held at the end",
    }
    return _line(poll.at, symbols.held * 3, f"poll, {words[poll.ending]}", f"held {held:>7}", "yellow", "dim")


def _meta_message(message: MetaMessage, symbols: _Symbols) -> Text:
    words = f"{message.channel.removeprefix('/meta/')} {message.detail}".strip()
    refused = f", refused: {message.refused}" if message.refused else ""
    return _line(message.at, symbols.meta_message, words + refused, "", "", "red" if refused else "dim")


def _socket(socket: WebSocketSpan, symbols: _Symbols) -> Text:
    lasted = f"open {_ms(socket.until - socket.at):>7}" if socket.until is not None else "open to the end"
    sent = sum(frame.sent for frame in socket.frames)
    words = f"WebSocket, {_number(sent, 'frame')} sent, {len(socket.frames) - sent} received"
    return _line(socket.at, symbols.held * 3, words, lasted, "green", "dim")


def _line(at: float | None, bar: str, words: str, times: str, colour: str, style: str = "") -> Text:
    """Format one line: time, bar, durations, description."""
    time = " " * _TIME_WIDTH if at is None else _time(at)
    text = Text(f"{time}  ", style="dim")
    text.append(f"{bar:<{_BAR_WIDTH}}  ", style=colour)
    text.append(f"{times:<{_TIMES_WIDTH}}  ", style=style)
    return text.append(printable(words), style=style if style == "red" else "")


# --- summary and tables ---------------------------------------------------------------------------------------


def _headline(title: str, rest: str, console: Console) -> None:
    console.print(Text(printable(title), style="bold") + Text(f"  {rest}"), soft_wrap=True)


def _counts(conversation: Conversation) -> str:
    notifications = len(conversation.unsolicited) + sum(
        len(exchange.notifications) for exchange in conversation.exchanges
    )
    things = [
        f"{conversation.source} of {conversation.seconds:.1f} s",
        _number(len(conversation.lanes), "session" if conversation.source == "journal" else "role"),
        _number(len(conversation.exchanges), "exchange"),
        _number(notifications, "notification"),
    ]
    polls = [_number(len(conversation.polls), "poll")] if conversation.polls else []
    return ", ".join(things + polls)


def _legend(symbols: _Symbols, conversation: Conversation, console: Console) -> None:
    words = f"{symbols.ack * 3} until the reply  {symbols.wait * 3} until the last notification  "
    words += f"{symbols.notification} notification"
    if conversation.polls or conversation.sockets:
        words += f"  {symbols.held * 3} held connection"
    console.print(Text(words, style="dim"))


def _latencies(exchanges: tuple[ConversationExchange, ...], console: Console, symbols: _Symbols) -> None:
    rows = latencies_of(exchanges)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("operation", no_wrap=True, overflow=symbols.cut, width=19)
    table.add_column("owner type", no_wrap=True, overflow=symbols.cut, width=10)
    table.add_column("n", justify="right", no_wrap=True)
    for heading in ("ack", "push"):
        table.add_column(f"{heading} p50", justify="right", no_wrap=True)
        table.add_column("p95", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True, width=15)
    for row in rows:
        cells = (*_cells(row.ack, symbols), *_cells(row.notification, symbols))
        owner = printable(row.owner_type) or symbols.dash
        table.add_row(Text(printable(row.operation)), Text(owner), str(row.count), *cells)
    console.print()
    console.print(Text("Latencies", style="bold") + Text("  bars: 1 ms to 30 s, from left to right"))
    console.print(table)


def _cells(times: Times, symbols: _Symbols) -> tuple[str, str, str]:
    if not times.seconds:
        return symbols.dash, symbols.dash, ""
    return _ms(times.percentile(0.5)), _ms(times.percentile(0.95)), _histogram(times, symbols)


def _histogram(times: Times, symbols: _Symbols) -> str:
    bars = times.histogram
    top = len(symbols.levels) - 1
    return "".join(symbols.levels[-(-bar * top // max(bars))] for bar in bars)


def _sentences(title: str, sentences: tuple[str, ...], console: Console) -> None:
    if sentences:
        console.print()
        console.print(Text(title, style="bold"))
        for sentence in sentences:
            console.print(Text(f"  {printable(sentence)}"))


def _time(seconds: float) -> str:
    return f"{seconds:{_TIME_WIDTH}.3f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def _number(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _symbols(console: Console) -> _Symbols:
    return _ASCII if console.options.ascii_only else _Symbols()
