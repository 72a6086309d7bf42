"""The scenario: its YAML format, loading and writing it, matching requests against it, rendering its answers.

Knows nothing of Bayeux, of HTTP servers or of who plays it. No I/O except reading the files that `load` and
`parse` are given; no clock, no randomness that isn't seeded.
"""

from .arming import fault_from, fault_written
from .compiled import (
    BayeuxSection,
    BreakConnection,
    Delay,
    DropEvent,
    DuplicateEvent,
    EndSession,
    EventOut,
    EventPlan,
    Fault,
    FaultAction,
    Position,
    PublishReplyOut,
    RefuseMessage,
    RenderContext,
    ReplyOut,
    Role,
    SessionSection,
    SetStatus,
    SettingsSection,
    User,
)
from .durations import format_duration, parse_duration
from .exchange import Exchange, Group, Index, Scenario, TimelineEntry
from .findings import can_be_written
from .load import dump, load, loads, parse
from .markers import literal
from .matchers import Difference
from .model import (
    AdviceBlock,
    BayeuxBlock,
    CorrelationBlock,
    EventBlock,
    ExchangeBlock,
    FallbackBlock,
    FaultBlock,
    PublishBlock,
    ReplyBlock,
    RequestBlock,
    RoleBlock,
    ScenarioFile,
    SessionBlock,
    SettingsBlock,
    SourceBlock,
    TimelineBlock,
    WhenBlock,
)
from .pointer import find, remove, replace
from .profile import Fallback, Profile, profile, profile_names, profile_of, read_profile
from .question import HttpQuestion, PublishQuestion, Question, publish_question_of, question_of
from .schema import schema, schema_text
from .specs import EventSpec, PublishReplySpec, ReplySpec
from .templates import TemplateFailed
from .trigger import Match, Mismatch

__all__ = [
    "AdviceBlock",
    "BayeuxBlock",
    "BayeuxSection",
    "BreakConnection",
    "CorrelationBlock",
    "Delay",
    "Difference",
    "DropEvent",
    "DuplicateEvent",
    "EndSession",
    "EventBlock",
    "EventOut",
    "EventPlan",
    "EventSpec",
    "Exchange",
    "ExchangeBlock",
    "Fallback",
    "FallbackBlock",
    "Fault",
    "FaultAction",
    "FaultBlock",
    "Group",
    "HttpQuestion",
    "Index",
    "Match",
    "Mismatch",
    "Position",
    "Profile",
    "PublishBlock",
    "PublishQuestion",
    "PublishReplyOut",
    "PublishReplySpec",
    "Question",
    "RefuseMessage",
    "RenderContext",
    "ReplyBlock",
    "ReplyOut",
    "ReplySpec",
    "RequestBlock",
    "Role",
    "RoleBlock",
    "Scenario",
    "ScenarioFile",
    "SessionBlock",
    "SessionSection",
    "SetStatus",
    "SettingsBlock",
    "SettingsSection",
    "SourceBlock",
    "TemplateFailed",
    "TimelineBlock",
    "TimelineEntry",
    "User",
    "WhenBlock",
    "can_be_written",
    "dump",
    "fault_from",
    "fault_written",
    "find",
    "format_duration",
    "literal",
    "load",
    "loads",
    "parse",
    "parse_duration",
    "profile",
    "profile_names",
    "profile_of",
    "read_profile",
    "publish_question_of",
    "question_of",
    "remove",
    "replace",
    "schema",
    "schema_text",
]
