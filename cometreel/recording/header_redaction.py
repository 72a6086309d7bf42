"""Redaction of request and reply heads: URL, header fields, cookies and credentials.

Header fields of requests are kept if the policy lists them; those of replies are kept unless they belong to one
connection, one body or one moment, or are secret. Values that identify a session or a user become pseudonyms.
Credentials are added to the known secrets, so that they are removed from all later journal lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVarTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from cometreel.http_fields import CONTROL_CHARACTER, HOP_BY_HOP, SAFE_IN_SEGMENT
from cometreel.identity import credentials_of, user_and_password
from cometreel.jsonvalue import JSON, JSONObject
from cometreel.masking import is_secret_field
from cometreel.recording.known_secrets import looks_random
from cometreel.recording.policy import Policy, PolicyRule, Treatment
from cometreel.recording.redaction import HIDDEN, Redactor
from cometreel.secret_names import is_secret_header, is_secret_segment, member_name
from cometreel.wire import Headers

__all__ = ["HeaderRedactor", "split_url"]

_COOKIE_NAME = re.compile(r"[A-Za-z_][\w.-]{0,60}")
_FIELD_NAME = re.compile(r"^[\w-]+$")
_NOT_KEPT = frozenset(
    {
        *(name.decode() for name in HOP_BY_HOP),
        *("content-length", "content-encoding"),  # the framing of the body, which is decoded
        *("content-md5", "digest", "content-digest", "repr-digest"),
        *("set-cookie", "set-cookie2", "date", "server", "via", "age", "strict-transport-security", "alt-svc"),
    }
)
"""The header fields of replies that the replay doesn't repeat: the server or proxy that sends a reply sets them."""

_CORS = "access-control-"
_LINK = re.compile(r"(?<=<)[^<>]*(?=>)")
_FILE_NAME = re.compile(r"""(?i)(filename\*?\s*=\s*)("(?:[^"\\]|\\.)*"|[^;]*)""")
_IN_QUOTES = re.compile(r'(?<=")[^"]*(?=")')
_CHALLENGE_SECRET = re.compile(r"""(?i)\b(nonce|opaque|cnonce|response)\s*=\s*("[^"]*"|[^\s,]+)""")
_EXPIRED = re.compile(r"(?i)max-age=-?0*(;|$)")
_CACHE_LIMIT = 10_000

Arguments = TypeVarTuple("Arguments")


def split_url(url: str) -> tuple[str, str]:
    """Return path and query of a URL or request target, without the fragment."""
    _, scheme, rest = url.partition("://")
    if scheme and url[:1] != "/":  # `/login?back=http://…` isn't an absolute URL
        start = min((index for index in (rest.find("/"), rest.find("?")) if index >= 0), default=len(rest))
        url = rest[start:]
    path, _, query = url.partition("#")[0].partition("?")
    return path or "/", query


_URLS = frozenset({"location", "content-location"})
_ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://|//)(?:[^/?#\s]*@)?([^/?#\s]+)")
_TOKEN_OF_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+\Z")
_LONGEST_ENDING = 5


def _single_fields(headers: Headers) -> Iterator[tuple[str, str]]:
    """Yield the fields; the browsers' HAR files join the values of a repeated field with line feeds."""
    for name, value in headers:
        for each in value.split("\n") if "\n" in value else (value,):
            yield name, each


class HeaderRedactor:
    """Redacts request and reply heads; detects the header field of the CSRF token."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._policy: Policy = redactor.policy
        self._csrf_fields = {"x-csrf-token"}
        self._set_by_server: set[str] = set()
        self._cookies: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
        self._requests: dict[tuple[str, str, Headers], JSONObject] = {}
        self._replies: dict[tuple[int, Headers, str, bool], JSONObject] = {}
        self._fields: dict[tuple[str, str, str], tuple[str, str]] = {}
        self._version = (0, 0, 0)

    def request(self, method: str, url: str, headers: Headers) -> JSONObject:
        """Return the members of a journal line for a request, without the body. Callers must not change the result."""
        return self._cached(self._requests, (method, url, headers), self._request)

    def reply(self, status: int, headers: Headers, method: str = "", *, bayeux: bool = False) -> JSONObject:
        """Return the members of a journal line for a reply, without the body. Callers must not change the result.

        The names of dropped fields are listed for the replies that a replay repeats: those that aren't Bayeux.
        """
        return self._cached(self._replies, (status, headers, method, bayeux), self._reply)

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
            self._fields.clear()
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
        self._put_request_headers(line, headers)
        hosts: list[JSON] = [*self._hosts(url, headers)]
        if hosts:
            line["hosts"] = hosts
        self._put_identity(line, headers)
        return line

    def _reply(self, status: int, headers: Headers, method: str, bayeux: bool) -> JSONObject:
        line: JSONObject = {"status": status}
        name = headers.get("x-csrf-header")
        if name:
            self._csrf_fields.add(name.strip().lower())
        self._put_reply_headers(line, headers, method)
        _put_cookies(line, *self._set_cookies(headers))
        if bayeux:
            line.pop("out-headers", None)
        return line

    def _hosts(self, url: str, headers: Headers) -> list[str]:
        """Return the pseudonyms of the host that the request was sent to, as in links to it."""
        _, scheme, rest = url.partition("://")
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0] if scheme and url[:1] != "/" else ""
        found = (authority.rpartition("@")[2], (headers.get("host") or "").strip())
        return list(dict.fromkeys(self._redactor.pseudonyms.host(host) for host in found if host))

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
        if not kind and is_secret_segment(before, plain):
            return self._redactor.path_secret(before, plain) + suffix, "secret"
        self._redactor.secrets.add_word(plain)
        redacted, replaced = self._redactor.by_rule(PolicyRule(Treatment.IDENTIFIER, kind) if kind else None, plain)
        return (quote(redacted, safe=SAFE_IN_SEGMENT) if redacted != plain else bare) + suffix, replaced

    def _put_query(self, line: JSONObject, query: str) -> None:
        if not query:
            return
        found: JSONObject = {}
        pairs: list[tuple[str, str]] = []
        sent = parse_qsl(query, keep_blank_values=True, errors="backslashreplace")
        members: JSONObject = dict(reversed(sent))
        for name, value in sent:
            members[name] = value  # of repeated parameters, the last one before a value is its name
            redacted_name = self._redactor.key(name)
            redacted, replaced = self._query_value(member_name(members, name), value)
            if replaced:
                found[redacted_name] = replaced
            pairs.append((redacted_name, redacted))
        line["query"] = query if pairs == parse_qsl(query, keep_blank_values=True) else urlencode(pairs)
        if found:
            line["hid-query"] = found

    def _query_value(self, name: str, value: str) -> tuple[str, str]:
        rule = self._policy.query_rule(name)
        if rule is not None and rule.treatment is Treatment.SECRET:
            self._redactor.add_parameter(name, value)
            return HIDDEN, "secret"
        if rule is not None and rule.treatment is Treatment.IDENTIFIER and "," in value:
            pieces = [self._redactor.by_rule(rule, piece) for piece in value.split(",")]
            return ",".join(text for text, _ in pieces), next((replaced for _, replaced in pieces if replaced), "")
        return self._redactor.by_rule(rule, value)

    # --- header fields --------------------------------------------------------------------------------------

    def _put_request_headers(self, line: JSONObject, headers: Headers) -> None:
        kept: JSONObject = {}
        hidden: list[JSON] = []
        for name, value in headers:
            lower = name.lower()
            if lower in self._policy.request_headers:
                kept[lower] = self._redactor.text(value)
            elif lower in self._csrf_fields or is_secret_header(lower):
                hidden.append(lower)
                if "cookie" not in lower:
                    self._add_credentials(lower, value)
        if kept:
            line["headers"] = kept
        if hidden:
            line["hid-headers"] = hidden

    def _put_reply_headers(self, line: JSONObject, headers: Headers, method: str) -> None:
        kept: dict[str, list[JSON]] = {}
        hidden, dropped, replaced = dict[str, None](), dict[str, None](), dict[str, None]()
        hop_by_hop = {name.strip().lower() for field in headers.get_all("connection") for name in field.split(",")}
        for name, value in _single_fields(headers):
            lower = name.lower()
            treatment, redacted = self._reply_field(lower, value, method)
            if treatment == "hidden":
                hidden[lower] = None
                if "cookie" not in lower:
                    self._add_credentials(lower, value)
            elif treatment == "kept" and lower not in hop_by_hop:
                kept.setdefault(lower, []).append(redacted)
                if redacted != value:
                    replaced[lower] = None
            elif lower[:1] != ":":
                dropped[lower] = None
        if kept:
            line["headers"] = {name: values[0] if len(values) == 1 else values for name, values in kept.items()}
        for member, names in (("hid-headers", hidden), ("out-headers", dropped), ("new-headers", replaced)):
            if names:
                line[member] = list(names)

    def _reply_field(self, name: str, value: str, method: str) -> tuple[str, str]:
        """Return the treatment of a field, and its redacted value. Cached: most fields are the same in all replies."""
        key = (name, value, method)
        found = self._fields.get(key)
        if found is None:
            if self._is_secret(name, value):
                found = "hidden", ""
            elif self._is_kept(name, value, method):
                found = "kept", self._reply_value(name, value)
            else:
                found = "dropped", ""
            if len(self._fields) >= _CACHE_LIMIT:
                self._fields.clear()
            self._fields[key] = found
        return found

    def _is_secret(self, name: str, value: str) -> bool:
        if name in self._policy.reply_headers or name.startswith(_CORS):
            return False
        if name in ("set-cookie", "set-cookie2"):
            return True
        if name == "www-authenticate":  # a challenge; its nonces are replaced
            return False
        if name in self._csrf_fields:
            return True
        return name not in _NOT_KEPT and (is_secret_header(name) if name in _URLS else is_secret_field(name, value))

    def _is_kept(self, name: str, value: str, method: str) -> bool:
        if name in self._policy.reply_headers:
            return True
        if name == "content-length":
            return method == "HEAD" and value.isascii() and value.isdigit()
        return (
            name not in _NOT_KEPT and _TOKEN_OF_NAME.match(name) is not None and CONTROL_CHARACTER.search(value) is None
        )

    def _reply_value(self, name: str, value: str) -> str:
        """Redact a value: URLs like that of a request, other values by the rule for a key of the same name."""
        if name == "x-csrf-header":  # the name of a header field; other values are not kept
            return value if _FIELD_NAME.match(value) else HIDDEN
        if name in _URLS:
            return self._location(value)
        if name == "link":
            return _LINK.sub(lambda found: self._location(found[0]), value)
        if name == "content-disposition":
            return _FILE_NAME.sub(self._file_name, value)
        if name == "www-authenticate":
            value = _CHALLENGE_SECRET.sub(lambda found: f'{found[1]}="{HIDDEN}"', value)
            return _IN_QUOTES.sub(lambda found: self._redactor.text(found[0]), value)
        if name.startswith(_CORS):
            return self._redactor.text(value)
        word = name.removeprefix("x-")
        rule = self._policy.key_rule(word) or self._policy.key_rule(word.replace("-", ""))
        return self._redactor.by_rule(rule, value)[0]

    def _file_name(self, found: re.Match[str]) -> str:
        """Redact the name of a file as a value of the key `fileName`, and keep its ending."""
        text = found[2].strip().strip('"')
        stem, dot, ending = text.rpartition(".")
        stem, ending = (stem, dot + ending) if stem and len(ending) <= _LONGEST_ENDING else (text, "")
        prefix, quotes, encoded = stem.rpartition("''")  # RFC 8187: UTF-8''name
        redacted = self._redactor.by_rule(self._policy.key_rule("fileName"), unquote(encoded) if quotes else stem)[0]
        return found[1] + (f"{prefix}{quotes}{quote(redacted)}{ending}" if quotes else f'"{redacted}{ending}"')

    def _location(self, value: str) -> str:
        """Redact a URL, absolute or relative, like the one of a request."""
        found = _ORIGIN.match(value)
        origin = f"{found[1]}{self._redactor.pseudonyms.host(found[2])}" if found is not None else ""
        line: JSONObject = {}
        path, query = split_url(value[found.end() :] if found is not None else value)
        self._put_path(line, path)
        self._put_query(line, query)
        path = str(line["path"]) if found is not None or not value.startswith("?") else ""
        return f"{origin}{path}" + (f"?{line['query']}" if query else "")

    def _add_credentials(self, name: str, value: str) -> None:
        """Add credentials to the known secrets, but no common words such as `X-Session-Kind: customer`."""
        scheme, _, rest = value.partition(" ")
        if rest and scheme.isalpha():
            self._redactor.secrets.add(value)
            self._redactor.secrets.add(rest, name)
        elif looks_random(value):
            self._redactor.secrets.add(value, name)

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
            session.setdefault(name, self._redactor.token(value, f"cookie {name}"))
            return
        is_random = looks_random(value)
        if is_random:  # common words, as in `theme=default`, must not be removed elsewhere
            self._redactor.secrets.add(value, f"cookie {name}")
        if (is_random or name in self._set_by_server) and _COOKIE_NAME.fullmatch(name):
            others.setdefault(name, self._redactor.pseudonyms.token(value))

    def _user(self, authorization: str) -> str:
        """Return the pseudonym of the user of Basic credentials (RFC 7617); empty for other credentials."""
        scheme, _, rest = authorization.strip().partition(" ")
        if scheme.lower() != "basic":
            return ""
        found = user_and_password(rest.strip())
        if found is None or not found[0]:
            return ""
        user, password = found
        rule = self._policy.key_rule("userName")
        if rule is not None and rule.treatment is Treatment.NAME:
            self._redactor.user(user)
        self._redactor.secrets.add_name(user)
        self._redactor.secrets.add(password, "authorization")  # in test systems the password may be the user name
        return self._redactor.by_rule(rule, user)[0]


def _put_cookies(line: JSONObject, session: dict[str, str], others: dict[str, str]) -> None:
    if session:
        line["who"] = dict(session)
    if others:
        line["cookies"] = dict(others)
