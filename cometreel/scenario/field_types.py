"""The types of the scenario fields: their pydantic checks and their JSON Schemas.

`json_schema` replaces a schema `{"x-def": NAME}` with a reference to a shared definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from cometreel.jsonvalue import JSON
from cometreel.scenario import checks
from cometreel.scenario.checks import FieldCheck
from cometreel.scenario.durations import DURATION_PATTERN
from cometreel.scenario.findings import refuse
from cometreel.scenario.runtime_expressions import FROM, IN, check_from, check_in

if TYPE_CHECKING:
    _Any: TypeAlias = JSON
else:
    _Any = Any


_KNOWN_TEXTS, _LONGEST_KNOWN = 200, 40
"""The number and the length of the valid texts of a type that are checked only once, because scenarios repeat them."""


def _checked(check: FieldCheck) -> AfterValidator:
    valid: set[str] = set()

    def run(value: JSON) -> JSON:
        if isinstance(value, str):
            if value in valid:
                return value
            refuse(check(value), value)
            if len(value) <= _LONGEST_KNOWN and len(valid) < _KNOWN_TEXTS:
                valid.add(value)
        else:
            refuse(check(value), value)
        return value

    return AfterValidator(run)


def _shared(name: str) -> WithJsonSchema:
    return WithJsonSchema({"x-def": name})


def _text(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern})


Plain = Annotated[_Any, _checked(checks.plain), WithJsonSchema({})]
ValuePattern = Annotated[_Any, _checked(checks.pattern), _shared("Pattern")]
TextPattern = Annotated[_Any, _checked(checks.text_pattern), _shared("TextPattern")]
PathPattern = Annotated[_Any, _checked(checks.path_pattern), _shared("PathPattern")]
QueryPattern = Annotated[_Any, _checked(checks.query_pattern), _shared("QueryPattern")]
RenderedValue = Annotated[_Any, _checked(checks.rendered), _shared("Value")]
TextValue = Annotated[_Any, _checked(checks.or_template(checks.text_value)), _shared("TextValue")]
HeaderValue = Annotated[_Any, _checked(checks.header_value), _shared("HeaderValue")]
HeaderLine = Annotated[str, _checked(checks.header_line)]
DurationValue = Annotated[_Any, _checked(checks.or_template(checks.duration)), _shared("DurationValue")]
ChannelValue = Annotated[_Any, _checked(checks.or_template(checks.channel)), _shared("ChannelValue")]
StatusValue = Annotated[_Any, _checked(checks.or_template(checks.status)), _shared("StatusValue")]
CountValue = Annotated[_Any, _checked(checks.or_template(checks.count)), _shared("CountValue")]
FlagValue = Annotated[_Any, _checked(checks.or_template(checks.flag)), _shared("FlagValue")]
BatchValue = Annotated[_Any, _checked(checks.or_template(checks.batch)), _shared("BatchValue")]

DurationText = Annotated[str, _checked(checks.duration), _text(DURATION_PATTERN)]
Name = Annotated[str, _checked(checks.name), _text(checks.NAME)]
Method = Annotated[str, _checked(checks.method), _text("^[A-Za-z][A-Za-z-]*$")]
ValueSource = Annotated[str, _checked(check_from), _text(FROM)]
ValuePlaces = Annotated[
    list[str],
    _checked(check_in),
    WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": IN}, "minItems": 1}),
]
Base64 = Annotated[str, _checked(checks.base64_text), _shared("Base64")]
TextContentPattern = Annotated[TextPattern, _shared("TextContentPattern")]
TextContent = Annotated[TextValue, _shared("TextContent")]
FixedText = Annotated[str, _shared("FixedText")]
FormPattern = Annotated[QueryPattern, _shared("FormPattern")]
CookieName = Annotated[str, _checked(checks.cookie), _text(checks.FIELD_NAME)]
DateTimeText = Annotated[str, _checked(checks.date_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Pointer = Annotated[str, _checked(checks.pointer), _text("^(/.*)?$")]
EndpointPath = Annotated[str, _checked(checks.endpoint), _text("^/[^?]*$")]
Subscription = Annotated[str, _checked(checks.subscription), _text(checks.CHANNEL)]
MetaChannel = Annotated[str, _checked(checks.meta_channel), WithJsonSchema({"enum": list(checks.META_CHANNELS)})]
Status = Annotated[int, _checked(checks.status), WithJsonSchema({"type": "integer", "minimum": 200, "maximum": 599})]
Positive = Annotated[int, _checked(checks.positive), WithJsonSchema({"type": "integer", "minimum": 1})]
Count = Annotated[int, _checked(checks.count), WithJsonSchema({"type": "integer", "minimum": 0})]
Probability = Annotated[float, _checked(checks.rate), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]
Speed = Annotated[float, _checked(checks.speed), WithJsonSchema({"type": "number", "minimum": 0})]

RequestHeaders = Annotated[dict[str, TextPattern], _checked(checks.header_names)]
OwnHeaderValue = Annotated[_Any, _checked(checks.own_header_value), _shared("OwnHeaderValue")]
OwnHeaders = Annotated[dict[str, OwnHeaderValue], _checked(checks.header_names)]
ReplyHeaders = Annotated[dict[str, HeaderValue], _checked(checks.header_names)]
FixedHeaders = Annotated[dict[str, HeaderLine], _checked(checks.header_names)]

if TYPE_CHECKING:
    CorrelationSources: TypeAlias = str | list[str]
    Names: TypeAlias = str | list[str]
    Origins: TypeAlias = str | list[str]
    Anchor: TypeAlias = str | dict[str, str]
    Anchors: TypeAlias = Anchor | list[Anchor]
    Seed: TypeAlias = str | int
    EventChoice: TypeAlias = bool | int | str
else:
    CorrelationSources = Annotated[Any, _checked(checks.correlation_source), _shared("CorrelationSources")]
    Names = Annotated[Any, _checked(checks.names), _shared("Names")]
    Origins = Annotated[
        Any,
        _checked(checks.origins),
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
    ]
    Anchor = Annotated[Any, _checked(checks.anchor), _shared("Anchor")]
    Anchors = Annotated[Any, _checked(checks.anchors), _shared("Anchors")]
    Seed = Annotated[Any, _checked(checks.seed), WithJsonSchema({"type": ["string", "integer"]})]
    EventChoice = Annotated[Any, _checked(checks.event_choice), _shared("EventChoice")]
