"""Redaction of request and reply heads: URL, header fields, cookies and credentials.

Header fields are kept if the policy lists them. Values that identify a session or a user become pseudonyms. Credentials
are added to the known secrets, so that they are removed from all later journal lines.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TypeVarTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from cometreel.identity import credentials_of
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
_COOKIE_NAME = re.compile(r"[A-Za-z_][\w.-]{0,60}")
_FIELD_NAME = re.compile(r"^[\w-]+$")
_EXPIRED = re.compile(r"(?i)max-age=-?0*(;|$)")
_CACHE_LIMIT = 10_000
SAFE = "~!$&'()*+,=:@"
"""Characters that are not escaped in a path segment (RFC 3986 §3.3)."""

Arguments = TypeVarTuple("Arguments")


def split_url(url: str) -> tuple[str, str]:
    """Return path and query of a URL or request target, without the fragment."""
    _, scheme, rest = url.partition("://")
    if scheme and url[:1] != "/":  # `/login?back=http://…` isn't an absolute URL
        start = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=len(rest))
        url = rest[start:]
    path, _, query = url.partition("#")[0].partition("?")
    return path or "/", query


class HeaderRedactor:
    """Redacts request and reply heads; detects the header field of the CSRF token."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._policy: Policy = redactor.policy
        self._csrf_fields = {"x-csrf-token"}
        self._set_by_server: set[str] = set()
        self._cookies: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._requests: dict[tuple[str, str, Headers], JSONObject] = {}
        self._replies: dict[tuple[int, Headers], JSONObject] = {}
        self._version = (0, 0, 0)

    def request(self, method: str, url: str, headers: Headers) -> JSONObject:
        """Return the members of a journal line for a request, without the body. Callers must not change the result."""
        return self._cached(self._requests, (method, url, headers), self._request)

    def reply(self, status: int, headers: Headers) -> JSONObject:
        """Return the members of a journal line for a reply, without the body. Callers must not change the result."""
        return self._cached(self._replies, (status, headers), self._reply)

    def _cached(
        self,
        cache: dict[tuple[*Arguments], JSONObject],
        arguments: tuple[*Arguments],
        redact: Callable[[*Arguments], JSONObject],
    ) -> JSONObject:
        """Return the result for equal arguments from the cache, which is cleared when results may change."""
        version = (self._redactor.version, len(self._csrf_fields), len(self._set_by_server))
        if version != self._version:
            self._requests.clear()
            self._replies.clear()
            self._cookies.clear()
            self._version = version
        line = cache.get(arguments)
        if line is None:
            line = redact(*arguments)
            if len(cache) >= _CACHE_LIMIT:
                cache.clear()
            cache[arguments] = line
        return line

    def _request(self, method: str, url: str, headers: Headers) -> JSONObject:
        path, query = split_url(url)
        line: JSONObject = {"method": method.upper()}
        self._put_path(line, path)
        self._put_query(line, query)
        self._put_headers(line, headers, self._policy.request_headers)
        self._put_identity(line, headers)
        return line

    def _reply(self, status: int, headers: Headers) -> JSONObject:
        line: JSONObject = {"status": status}
        name = headers.get("x-csrf-header")
        if name:
            self._csrf_fields.add(name.strip().lower())
        self._put_headers(line, headers, self._policy.reply_headers)
        _put_cookies(line, *self._set_cookies(headers))
        return line

    # --- URL ------------------------------------------------------------------------------------------------

    def _put_path(self, line: JSONObject, path: str) -> None:
        found: JSONObject = {}
        segments = path.split("/")
        before = ""
        for number, segment in enumerate(segments):
            segments[number], replaced = self._segment(segment, before)
            if replaced:
                found[str(number)] = replaced
            before = segment
        line["path"] = "/".join(segments)
        if found:
            line["hid-path"] = found

    def _segment(self, segment: str, before: str) -> tuple[str, str]:
        bare, semicolon, parameters = segment.partition(";")
        suffix = self._redactor.text(semicolon + parameters)
        kind = self._policy.paths.get(before)
        plain = unquote(bare)
        redacted, replaced = self._redactor.by_rule(PolicyRule(Treatment.IDENTIFIER, kind) if kind else None, plain)
        return (quote(redacted, safe=SAFE) if redacted != plain else bare) + suffix, replaced

    def _put_query(self, line: JSONObject, query: str) -> None:
        if not query:
            return
        found: JSONObject = {}
        pairs: list[tuple[str, str]] = []
        for name, value in parse_qsl(query, keep_blank_values=True, errors="backslashreplace"):
            redacted_name = self._redactor.key(name)
            redacted, replaced = self._query_value(name, value)
            if replaced:
                found[redacted_name] = replaced
            pairs.append((redacted_name, redacted))
        line["query"] = query if pairs == parse_qsl(query, keep_blank_values=True) else urlencode(pairs)
        if found:
            line["hid-query"] = found

    def _query_value(self, name: str, value: str) -> tuple[str, str]:
        rule = self._policy.query_rule(name)
        if rule is not None and rule.treatment is Treatment.SECRET and not looks_random(value):
            return HIDDEN, "secret"  # a word such as `active` must not be removed elsewhere
        if rule is not None and rule.treatment is Treatment.IDENTIFIER and "," in value:
            pieces = [self._redactor.by_rule(rule, piece) for piece in value.split(",")]
            return ",".join(text for text, _ in pieces), next((replaced for _, replaced in pieces if replaced), "")
        return self._redactor.by_rule(rule, value)

    # --- header fields --------------------------------------------------------------------------------------

    def _put_headers(self, line: JSONObject, headers: Headers, allowed: frozenset[str]) -> None:
        kept: JSONObject = {}
        hidden: list[JSON] = []
        for name, value in headers:
            lower = name.lower()
            if lower in allowed:
                kept[lower] = self._allowed(lower, value)
            elif lower in self._csrf_fields or _SENSITIVE.search(lower):
                hidden.append(lower)
                if "cookie" not in lower:
                    self._add_credentials(value)
        if kept:
            line["headers"] = kept
        if hidden:
            line["hid-headers"] = hidden

    def _allowed(self, name: str, value: str) -> str:
        if name == "x-csrf-header":  # the name of a header field; other values are not kept
            return value if _FIELD_NAME.match(value) else HIDDEN
        if name == "location":
            return self._location(value)
        return self._redactor.text(value)

    def _location(self, value: str) -> str:
        base = self._redactor.text(value[: -len(value.partition("://")[2])]) if "://" in value else ""
        line: JSONObject = {}
        path, query = split_url(value)
        self._put_path(line, path)
        self._put_query(line, query)
        host = self._redactor.text(value).partition("://")[2].partition("/")[0].partition("?")[0] if base else ""
        return f"{base}{host}{line['path']}" + (f"?{line['query']}" if query else "")

    def _add_credentials(self, value: str) -> None:
        """Add credentials to the known secrets, but no common words such as `X-Session-Kind: customer`."""
        scheme, _, rest = value.partition(" ")
        if rest and scheme.isalpha():
            self._redactor.secrets.add(value)
            self._redactor.secrets.add(rest.strip())
        elif looks_random(value):
            self._redactor.secrets.add(value)

    # --- session and user -----------------------------------------------------------------------------------

    def _put_identity(self, line: JSONObject, headers: Headers) -> None:
        """Add the tokens of the cookies, and the user or the token of the credentials."""
        session: dict[str, str] = {}
        others: dict[str, str] = {}
        for name, value in headers:
            lower = name.lower()
            if lower == "cookie":
                for tokens, found in zip((session, others), self._cookie(value), strict=True):
                    tokens.update({cookie: token for cookie, token in found.items() if cookie not in tokens})
            elif lower == "authorization":
                user = self._user(value)
                if user:
                    session["user"] = user
        _put_cookies(line, session, others)
        credentials = credentials_of(headers)
        if credentials is not None and credentials.token is not None:
            line["credentials"] = self._redactor.pseudonyms.token(credentials.token)

    def _cookie(self, field: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return the tokens of a Cookie field: session cookies, and others. Cached, as clients repeat the field."""
        try:
            return self._cookies[field]
        except KeyError:
            session: dict[str, str] = {}
            others: dict[str, str] = {}
            for pair in field.split(";"):
                self._add_cookie(pair, session, others)
            if len(self._cookies) >= _CACHE_LIMIT:
                self._cookies.clear()
            self._cookies[field] = session, others
            return session, others

    def _set_cookies(self, headers: Headers) -> tuple[dict[str, str], dict[str, str]]:
        session: dict[str, str] = {}
        others: dict[str, str] = {}
        for field in headers.get_all("set-cookie"):
            pair, _, attributes = field.partition(";")
            if not _EXPIRED.search(attributes):
                self._set_by_server.add(pair.partition("=")[0].strip())
                self._add_cookie(pair, session, others)
        return session, others

    def _add_cookie(self, pair: str, session: dict[str, str], others: dict[str, str]) -> None:
        """Add the token of a cookie that the policy names, that the server set, or that can't be a common word."""
        name, _, value = pair.strip().partition("=")
        name, value = name.strip(), value.strip().strip('"')
        if not value:
            return
        if name in self._policy.session_cookies:
            session.setdefault(name, self._redactor.token(value))
            return
        is_random = looks_random(value)
        if is_random:  # common words, as in `theme=default`, must not be removed elsewhere
            self._redactor.secrets.add(value)
        if (is_random or name in self._set_by_server) and _COOKIE_NAME.fullmatch(name):
            others.setdefault(name, self._redactor.pseudonyms.token(value))

    def _user(self, authorization: str) -> str:
        """Return the pseudonym of the user of Basic credentials (RFC 7617); empty for other credentials."""
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
        if password != user:  # in test systems the password may be the user name, which is redacted as a name
            self._redactor.secrets.add(password)
        return self._redactor.by_rule(self._policy.key_rule("userName"), user)[0]


def _put_cookies(line: JSONObject, session: dict[str, str], others: dict[str, str]) -> None:
    if session:
        line["who"] = dict(session)
    if others:
        line["cookies"] = dict(others)
