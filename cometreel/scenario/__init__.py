"""The scenario: its YAML format, loading and writing it, matching requests against it, rendering its answers.

Knows nothing of Bayeux, of HTTP servers or of who plays it. No I/O except reading the files that `load` and
`parse` are given; no clock, no randomness that isn't seeded.
"""

from cometreel.scenario.files import dump, load, loads, parse
from cometreel.scenario.json_pointer import find, remove, replace
from cometreel.scenario.json_schema import schema, schema_text
from cometreel.scenario.normalized_request import (
    NormalizedPublish,
    NormalizedRequest,
    Question,
    normalize_publish,
    normalize_request,
)
from cometreel.scenario.profiles import Fallback, Profile, profile, profile_names, profile_of, read_profile
from cometreel.scenario.request_pattern import Match, Mismatch
from cometreel.scenario.runtime_faults import fault_from, fault_written

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
from .specs import EventSpec, PublishReplySpec, ReplySpec
from .templates import TemplateFailed

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
    "NormalizedRequest",
    "Index",
    "Match",
    "Mismatch",
    "Position",
    "Profile",
    "PublishBlock",
    "NormalizedPublish",
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
    "normalize_publish",
    "normalize_request",
    "remove",
    "replace",
    "schema",
    "schema_text",
]
