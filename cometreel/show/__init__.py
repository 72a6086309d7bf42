"""Shows a journal or a scenario as a timeline, in an HTML page or in a terminal, or compares two of them.

Reads files only. Used by the command line.
"""

from __future__ import annotations

from cometreel.show.comparison import ChangedPart, Comparison, ExchangePair, compare
from cometreel.show.conversation import (
    Bookmark,
    Conversation,
    ConversationExchange,
    ConversationNotification,
    FrameInfo,
    HeldPoll,
    Lane,
    MetaMessage,
    WebSocketSpan,
)
from cometreel.show.conversation_reader import read_conversation
from cometreel.show.latencies import Latencies, Times, latencies_of
from cometreel.show.terminal_view import COLUMNS, print_comparison, print_conversation
from cometreel.show.webpage import FIRST_LINE, page

__all__ = [
    "COLUMNS",
    "FIRST_LINE",
    "Bookmark",
    "ChangedPart",
    "Comparison",
    "Conversation",
    "ConversationExchange",
    "ConversationNotification",
    "ExchangePair",
    "FrameInfo",
    "HeldPoll",
    "Lane",
    "Latencies",
    "MetaMessage",
    "Times",
    "WebSocketSpan",
    "compare",
    "latencies_of",
    "page",
    "print_comparison",
    "print_conversation",
    "read_conversation",
]
