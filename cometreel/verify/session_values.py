"""The bound values of a live session (`session.bind`): taken from its replies and put into its later requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote_plus

from cometreel.jsonvalue import JSON, as_text
from cometreel.scenario import Binding, RequestBlock, RuntimeExpression, find
from cometreel.scenario.json_pointer import replace
from cometreel.scenario.runtime_expressions import parameter_pattern
from cometreel.scenario.value_markers import marker_of
from cometreel.verify.expected_values import SessionVariables
from cometreel.verify.observations import LiveReply

__all__ = ["learn_bound_values", "with_bound_values", "without_parameter"]


def learn_bound_values(
    rules: Iterable[Binding], reply: LiveReply, variables: SessionVariables, add_secret: Callable[[str], None]
) -> None:
    """Set the variable of each rule whose value the reply contains."""
    for rule in rules:
        for value in _values_at(rule.source, reply):
            variables.captures[rule.name] = value
            add_secret(as_text(value))


def _values_at(source: RuntimeExpression, reply: LiveReply) -> Iterator[JSON]:
    if source.part == "body":
        yield from (value for _, value in find(reply.json, source.pointer) if value is not None)
        return
    for field in reply.headers.get_all(source.name):
        if source.parameter is None:
            yield field
        else:
            found = parameter_pattern(source.parameter).search(field)
            if found is not None and found[2]:
                yield unquote_plus(found[2])


def with_bound_values(block: RequestBlock, rules: Iterable[Binding], variables: SessionVariables) -> RequestBlock:
    """Return a request with the known bound values at the places that the rules name.

    A value replaces a marker; a literal stays. A header field that the request doesn't list is added; a value of the
    Authorization header follows the scheme Bearer.
    """
    for rule in rules:
        value = variables.capture(rule.name)
        for place in rule.places if value is not None else ():
            block = _with_value(block, place, value)
    return block


def _with_value(block: RequestBlock, place: RuntimeExpression, value: JSON) -> RequestBlock:
    if place.part == "query" and isinstance(block.query, dict) and marker_of(block.query.get(place.name)):
        return block.model_copy(update={"query": {**block.query, place.name: as_text(value)}})
    if place.part == "header":
        text = f"Bearer {as_text(value)}" if place.name.lower() == "authorization" else as_text(value)
        return block.model_copy(update={"headers": {place.name: text, **(block.headers or {})}})
    if place.part == "body" and place.source == "request" and block.body is not None:
        body = replace(block.body, place.pointer, lambda written: value if marker_of(written) else written)
        return block.model_copy(update={"body": body})
    return block


def without_parameter(url: str, name: str) -> str:
    """Return a URL with another value of one query parameter, to compare the rest."""
    return parameter_pattern(name).sub(r"\1…", url)
