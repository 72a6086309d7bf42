"""The heads of requests and replies without what they must not show: URL, header fields, cookies, credentials.

Headers pass by an allow-list. What identifies a session or a user comes out as pseudonyms; every credential that
passes here is remembered, so that it is scrubbed wherever else it turns up.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TypeVarTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from cometreel.jsonvalue import JSON, JSONObject
from cometreel.recording.known_secrets import looks_random
from cometreel.recording.policy import Policy, PolicyRule, Treatment
from cometreel.recording.redaction import HIDDEN, Redactor
from cometreel.wire import Headers

__all__ = ["SAFE", "HeaderRedactor", "split_url"]

_SENSITIVE = re.compile(
    r"auth|cookie|token|secret|session|csrf|xsrf|api-?key|password|^ssid$|^surl$|^rn(url|sid|username)$|contactcenterid",
    re.IGNORECASE,
)
_PRODUCT = re.compile(r"^[\w-]+$")
_GONE = re.compile(r"(?i)max-age=-?0*(;|$)")
_CACHE_LIMIT = 10_000
SAFE = "~!$&'()*+,=:@"
"""What a segment of a path may hold as it is (RFC 3986 §3.3)."""

Asked = TypeVarTuple("Asked")


def split_url(url: str) -> tuple[str, str]:
    """Give the path and the query of a URL, or of a request target, without the fragment."""
    _, scheme, rest = url.partition("://")
    if scheme and url[:1] != "/":  # `/login?back=http://…` is no absolute URL
        slash = min((place for place in (rest.find("/"), rest.find("?")) if place >= 0), default=len(rest))
        url = rest[slash:]
    path, _, query = url.partition("#")[0].partition("?")
    return path or "/", query


class HeaderRedactor:
    """Redact heads by one redactor; learns which header carries the CSRF token."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._policy: Policy = redactor.policy
        self._csrf = {"x-csrf-token"}
        self._cookies: dict[str, dict[str, str]] = {}
        self._requests: dict[tuple[str, str, Headers], JSONObject] = {}
        self._replies: dict[tuple[int, Headers], JSONObject] = {}
        self._known = (0, 0)

    def request(self, method: str, url: str, headers: Headers) -> JSONObject:
        """Give what a journal line says of a request, but for its body; not to be changed by the caller."""
        return self._remembered(self._requests, (method, url, headers), self._request)

    def reply(self, status: int, headers: Headers) -> JSONObject:
        """Give what a journal line says of a reply, but for its body; not to be changed by the caller."""
        return self._remembered(self._replies, (status, headers), self._reply)

    def _remembered(
        self, made: dict[tuple[*Asked], JSONObject], asked: tuple[*Asked], make: Callable[[*Asked], JSONObject]
    ) -> JSONObject:
        """Give a head that came before as it was redacted then, unless something was learned since."""
        known = (self._redactor.learned, len(self._csrf))
        if known != self._known:
            self._requests.clear()
            self._replies.clear()
            self._known = known
        line = made.get(asked)
        if line is None:
            line = make(*asked)
            if len(made) >= _CACHE_LIMIT:
                made.clear()
            made[asked] = line
        return line

    def _request(self, method: str, url: str, headers: Headers) -> JSONObject:
        path, query = split_url(url)
        line: JSONObject = {"method": method.upper()}
        self._put_path(line, path)
        self._put_query(line, query)
        self._put_headers(line, headers, self._policy.request_headers)
        who = self._asker(headers)
        if who:
            line["who"] = dict(who)
        return line

    def _reply(self, status: int, headers: Headers) -> JSONObject:
        line: JSONObject = {"status": status}
        name = headers.get("x-csrf-header")
        if name:
            self._csrf.add(name.strip().lower())
        self._put_headers(line, headers, self._policy.reply_headers)
        who = self._set_cookies(headers)
        if who:
            line["who"] = dict(who)
        return line

    # --- URL ------------------------------------------------------------------------------------------------

    def _put_path(self, line: JSONObject, path: str) -> None:
        found: JSONObject = {}
        segments = path.split("/")
        before = ""
        for number, segment in enumerate(segments):
            made, what = self._segment(segment, before)
            segments[number] = made
            if what:
                found[str(number)] = what
            before = segment
        line["path"] = "/".join(segments)
        if found:
            line["hid-path"] = found

    def _segment(self, segment: str, before: str) -> tuple[str, str]:
        bare, semicolon, parameters = segment.partition(";")
        ending = self._redactor.loose(semicolon + parameters)
        kind = self._policy.paths.get(before)
        plain = unquote(bare)
        made, what = self._redactor.by_rule(PolicyRule(Treatment.IDENTIFIER, kind) if kind else None, plain)
        return (quote(made, safe=SAFE) if made != plain else bare) + ending, what

    def _put_query(self, line: JSONObject, query: str) -> None:
        if not query:
            return
        found: JSONObject = {}
        pairs: list[tuple[str, str]] = []
        for name, value in parse_qsl(query, keep_blank_values=True, errors="backslashreplace"):
            shown = self._redactor.key(name)
            made, what = self._query_value(name, value)
            if what:
                found[shown] = what
            pairs.append((shown, made))
        line["query"] = query if pairs == parse_qsl(query, keep_blank_values=True) else urlencode(pairs)
        if found:
            line["hid-query"] = found

    def _query_value(self, name: str, value: str) -> tuple[str, str]:
        rule = self._policy.query(name)
        if rule is not None and rule.treatment is Treatment.HIDE and not looks_random(value):
            return HIDDEN, "secret"  # `state=active` is hidden here, and `active` stays a word elsewhere
        if rule is not None and rule.treatment is Treatment.IDENTIFIER and "," in value:
            pieces = [self._redactor.by_rule(rule, piece) for piece in value.split(",")]
            return ",".join(made for made, _ in pieces), next((what for _, what in pieces if what), "")
        return self._redactor.by_rule(rule, value)

    # --- header fields --------------------------------------------------------------------------------------

    def _put_headers(self, line: JSONObject, headers: Headers, allowed: frozenset[str]) -> None:
        kept: JSONObject = {}
        hidden: list[JSON] = []
        for name, value in headers:
            low = name.lower()
            if low in allowed:
                kept[low] = self._allowed(low, value)
            elif low in self._csrf or _SENSITIVE.search(low):
                hidden.append(low)
                if "cookie" not in low:
                    self._learn(value)
        if kept:
            line["headers"] = kept
        if hidden:
            line["hid-headers"] = hidden

    def _allowed(self, name: str, value: str) -> str:
        if name == "x-csrf-header":  # the name of a header; anything else in it is not for us to keep
            return value if _PRODUCT.match(value) else HIDDEN
        if name == "location":
            return self._location(value)
        return self._redactor.loose(value)

    def _location(self, value: str) -> str:
        base = self._redactor.loose(value[: -len(value.partition("://")[2])]) if "://" in value else ""
        line: JSONObject = {}
        path, query = split_url(value)
        self._put_path(line, path)
        self._put_query(line, query)
        host = self._redactor.loose(value).partition("://")[2].partition("/")[0].partition("?")[0] if base else ""
        return f"{base}{host}{line['path']}" + (f"?{line['query']}" if query else "")

    def _learn(self, value: str) -> None:
        """Remember credentials, and any other value that isn't a common word: `X-Session-Kind: customer`."""
        scheme, _, rest = value.partition(" ")
        if rest and scheme.isalpha():
            self._redactor.secret(value)
            self._redactor.secret(rest.strip())
        elif looks_random(value):
            self._redactor.secret(value)

    # --- who ------------------------------------------------------------------------------------------------

    def _asker(self, headers: Headers) -> dict[str, str]:
        who: dict[str, str] = {}
        for name, value in headers:
            low = name.lower()
            if low == "cookie":
                who = {**self._cookie(value), **who}
            elif low == "authorization":
                user = self._user(value)
                if user:
                    who["user"] = user
        return who

    def _cookie(self, field: str) -> dict[str, str]:
        """Read a Cookie field; a client sends the same one again and again."""
        try:
            return self._cookies[field]
        except KeyError:
            who: dict[str, str] = {}
            for pair in field.split(";"):
                self._take(pair, who)
            if len(self._cookies) >= _CACHE_LIMIT:
                self._cookies.clear()
            self._cookies[field] = who
            return who

    def _set_cookies(self, headers: Headers) -> dict[str, str]:
        who: dict[str, str] = {}
        for field in headers.get_all("set-cookie"):
            pair, _, attributes = field.partition(";")
            if not _GONE.search(attributes):
                self._take(pair, who)
        return who

    def _take(self, pair: str, who: dict[str, str]) -> None:
        name, _, value = pair.strip().partition("=")
        name, value = name.strip(), value.strip().strip('"')
        if not value:
            return
        if name in self._policy.session_cookies:
            who.setdefault(name, self._redactor.token(value))
        elif looks_random(value):  # `theme=default` must not make a secret of a common word
            self._redactor.secret(value)

    def _user(self, authorization: str) -> str:
        """The pseudonym of the user who logs in with Basic (RFC 7617), empty for other credentials."""
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() != "basic":
            return ""
        try:
            text = base64.b64decode(rest.strip(), validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return ""
        user, colon, password = text.partition(":")
        if not colon or not user:
            return ""
        if password != user:  # a laboratory's habit; the name is personal and handled as such
            self._redactor.secret(password)
        return self._redactor.by_rule(self._policy.key("userName"), user)[0]
