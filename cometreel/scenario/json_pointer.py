"""JSON Pointers (RFC 6901) with one extension: the token `*` matches every member or item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from cometreel.jsonvalue import JSON

__all__ = ["escape", "find", "parse_pointer", "remove", "replace", "values_at"]


def escape(token: str) -> str:
    """Escape a member name as a pointer token (RFC 6901 §3)."""
    return token.replace("~", "~0").replace("/", "~1")


@lru_cache(maxsize=1024)
def parse_pointer(pointer: str) -> tuple[str, ...]:
    """Split a pointer into its tokens; the empty pointer is the whole document.

    :raises ValueError: if it isn't empty and doesn't start with `/`.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON Pointer; it must start with '/'")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/"))


def find(document: JSON, pointer: str) -> list[tuple[str, JSON]]:
    """Return the values at the pointer, each with its own pointer (no `*`); empty if there are none."""
    return list(_find(document, parse_pointer(pointer), ""))


def values_at(document: JSON, tokens: Sequence[str]) -> list[JSON]:
    """Return the values at a parsed pointer; faster than `find`."""
    found = [document]
    for token in tokens:
        found = [child for value in found for _, child in _children(value, token)]
    return found


def replace(document: JSON, pointer: str, change: Callable[[JSON], JSON]) -> JSON:
    """Return a new document in which `change` is applied to every value at the pointer."""
    return _replace(document, parse_pointer(pointer), change)


def remove(document: JSON, pointer: str) -> JSON:
    """Return a new document without the members at the pointer; items of arrays are kept."""
    tokens = parse_pointer(pointer)
    return _remove(document, tokens) if tokens else document


def _children(document: JSON, name: str) -> Iterator[tuple[str, JSON]]:
    if isinstance(document, dict):
        if name == "*":
            yield from document.items()
        elif name in document:
            yield name, document[name]
    elif isinstance(document, list):
        if name == "*":
            yield from ((str(number), item) for number, item in enumerate(document))
        elif name.isascii() and name.isdigit() and int(name) < len(document):
            yield name, document[int(name)]


def _find(document: JSON, tokens: tuple[str, ...], path: str) -> Iterator[tuple[str, JSON]]:
    if not tokens:
        yield path, document
        return
    for name, child in _children(document, tokens[0]):
        yield from _find(child, tokens[1:], f"{path}/{escape(name)}")


def _replace(document: JSON, tokens: tuple[str, ...], change: Callable[[JSON], JSON]) -> JSON:
    if not tokens:
        return change(document)
    changed = {name: _replace(child, tokens[1:], change) for name, child in _children(document, tokens[0])}
    if not changed:
        return document
    if isinstance(document, dict):
        return {name: changed.get(name, child) for name, child in document.items()}
    assert isinstance(document, list)
    return [changed.get(str(number), item) for number, item in enumerate(document)]


def _remove(document: JSON, tokens: tuple[str, ...]) -> JSON:
    if len(tokens) > 1:
        for name, child in _children(document, tokens[0]):
            document = _replace(document, (name,), lambda _, child=child: _remove(child, tokens[1:]))  # type: ignore[misc]  # mypy can't infer a lambda with a default
        return document
    if isinstance(document, dict):
        return {name: child for name, child in document.items() if tokens[0] not in ("*", name)}
    return document
