"""Showing: a journal or a scenario as a conversation, drawn on a page or in a terminal, or two over one another.

Reads files, opens no socket and starts nothing. Only the command line knows this room.
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
    "ChangedPart",
    "Comparison",
    "Conversation",
    "ConversationExchange",
    "FrameInfo",
    "Lane",
    "Latencies",
    "Bookmark",
    "ConversationNotification",
    "ExchangePair",
    "HeldPoll",
    "WebSocketSpan",
    "MetaMessage",
    "Times",
    "compare",
    "latencies_of",
    "page",
    "print_comparison",
    "print_conversation",
    "read_conversation",
]
