"""Masking: the names of values that are not shown to users, and functions that replace those values by `[hidden]`.

Secrets are hidden everywhere: in the admin API, near misses, suggested stubs, logs and test failures. Personal data is
hidden in near misses only, because those are sent to clients; the admin API needs a token. `SECRETS` and `PERSONAL`
are the names of the recorder's policy `default` (`cometreel/recording/policies/default.yaml`); a test compares them.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from urllib.parse import quote, unquote_plus

from cometreel.jsonvalue import JSON, NotJSON, decode, encode

__all__ = ["HIDDEN", "is_hidden_at", "is_personal", "is_secret", "is_secret_header", "masked", "masked_text"]

HIDDEN = "[hidden]"

SECRETS = """
*password* *passwd *passphrase *passcode *pwd pass pin otp *verificationcode *securityanswer cvv cvc *secret* securekey
clientid *csrf* *xsrf* *token jwt bearer cookie cookies *accesskey *access_key *access-key *privatekey *private_key
*private-key *apikey *api_key *api-key authorization credentials jsessionid *sessionid *session_id *session-id ssid surl
rnurl rnsid rnusername samlrequest samlresponse relaystate wwe_code contactcenterid
"""
"""Names of secrets in JSON, queries, forms and header fields. Case is ignored, `*` is a wildcard."""

QUERY_SECRETS = """
code state nonce sig *signature *credential auth key session sid assertion redirect_uri j_password sso ticket
"""
"""Further names of secrets in queries and forms (OAuth, RFC 6749 §4.1; servlet logins)."""

PERSONAL = """
username user_name login firstname lastname middlename fullname displayname displayusername user agentname nickname
emailaddress* email mail employeeid agentlogin logincode phonenumber phone mobile e164number formattedphonenumber dnis
ani callerid otherdn from fromaddress* to toaddress* cc ccaddress* bcc bccaddress* replyto sender recipient recipients
screenname twitterhandle socialhandle *handle address street city postalcode birthdate ssn *cardnumber creditcard iban
contactid chatserverhost participants participant party parties contact contacts userdata attacheddata extensions
customattributes subject text body htmlbody plaintextbody bodytext structuredtext content comment comments note notes
description messagetext message chat originalmessage transcript messages messagelog attachments filename
"""
"""Names of personal data."""

QUERY_PERSONAL = "j_username"
"""Further names of personal data in queries and forms."""

_MORE_SECRETS = """
*passw* *passphrase* *token[!i]* *tokeni[!sz]* *authorization* *credential* *saml* *sessionid* *clientid* *apikey*
set-cookie code
"""
"""Names that the recorder keeps, or redacts only for some values; masking always hides them, to be safe."""

_HEADER_SECRETS = "*cookie* *key *ssid* *surl* *rnsid*"
_LONGEST_NAME = 200
_NAME_PARTS = re.compile(r"[^\[\]./]+")  # of `user[pin]`, `pin[]` and `user.pin`; the last one is the name
_HEADER_WORDS = re.compile(r"[-_]")


class _Names:
    """A set of names with wildcards."""

    def __init__(self, *tables: str) -> None:
        names = " ".join(tables).split()
        self._exact = frozenset(names)
        self._wild = re.compile("|".join(translate(name) for name in names if "*" in name) or r"(?!)")

    def __contains__(self, name: str) -> bool:
        return name in self._exact or self._wild.match(name) is not None


_SECRET_NAMES = _Names(SECRETS, _MORE_SECRETS)
_QUERY_SECRET_NAMES = _Names(SECRETS, _MORE_SECRETS, QUERY_SECRETS)
_HEADER_SECRET_NAMES = _Names(_HEADER_SECRETS)
_PERSONAL_NAMES = _Names(PERSONAL)
_QUERY_PERSONAL_NAMES = _Names(PERSONAL, QUERY_PERSONAL)


def is_secret(name: str, *, query: bool = False) -> bool:
    """Tell whether a name marks its value as a secret; more names do so in a `query` or a form."""
    return _is_secret(name[:_LONGEST_NAME].lower(), query)


@lru_cache(maxsize=4096)
def _is_secret(name: str, query: bool) -> bool:
    names = _QUERY_SECRET_NAMES if query else _SECRET_NAMES
    name = (_NAME_PARTS.findall(name) or [name])[-1]
    return name in names or name.replace("-", "").replace("_", "") in names


def is_personal(name: str) -> bool:
    """Tell whether a name marks its value as personal data."""
    return name.lower() in _PERSONAL_NAMES


def is_secret_header(name: str) -> bool:
    """Tell whether the value of a header field is a secret: by its name, or by one word of it (`X-Otp`)."""
    name = name.lower()
    return (
        is_secret(name)
        or name in _HEADER_SECRET_NAMES
        or any(is_secret(word, query=True) for word in _HEADER_WORDS.split(name))
    )


def is_hidden_at(pointer: str) -> bool:
    """Tell whether a near miss hides a value; its JSON Pointer begins with a part of the request: `/body/pin`."""
    part, *names = pointer.removeprefix("/").split("/")
    if part == "headers":
        return any(is_secret_header(name) or name.lower() in _PERSONAL_NAMES for name in names)
    return any(_is_hidden(name, personal=True, query=part == "query") for name in names)


def _is_hidden(name: str, *, personal: bool, query: bool) -> bool:
    if is_secret(name, query=query):
        return True
    return personal and name.lower() in (_QUERY_PERSONAL_NAMES if query else _PERSONAL_NAMES)


_ENCODINGS = 2
"""How often a value is percent-decoded: a query in a link in a query is masked too."""


def masked(value: JSON, *, personal: bool = False, query: bool = False) -> JSON:
    """Return the value with its secrets hidden, also in JSON, queries and forms that are strings in it.

    `personal` hides personal data too. `query` says that the value is a query or a form as an object.
    """
    return _masked(value, personal, query, _ENCODINGS)


def _masked(value: JSON, personal: bool, query: bool, encodings: int) -> JSON:
    if isinstance(value, dict):
        return {
            name: HIDDEN
            if _is_hidden(name, personal=personal, query=query)
            else _masked(member, personal, False, encodings)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_masked(item, personal, False, encodings) for item in value]
    return _masked_text(value, personal, encodings) if isinstance(value, str) else value


_NAME = re.compile(
    r"""(?:^|(?<=[&?;,({\s/#]))(?P<pair>[^&?;,({=\s"'\\]{1,100})="""  # of a query, a form or a cookie
    r"""|(?<!\\)(?P<quote>\\{0,9}["'])(?P<key>[^"'\\]{1,100})(?P=quote)\s{0,9}:\s{0,9}"""  # of JSON, also in a string
    r"""|(?:^|(?<=[{,\s]))(?P<word>[^&?=\s"':,{}\\]{1,100}):\s"""  # of YAML, or a header field
)
_QUOTE = re.compile(r"""\\{0,9}["']""")
_PART = re.compile(  # of a multipart form: its name, its header fields and its value
    r"""(?s)(?<=[;\s])(?P<head>name="(?P<name>[^"\r\n]{1,100})"[^\r\n]{0,300}\r?\n(?:[^\r\n]{1,300}\r?\n){0,5}\r?\n)"""
    r"""(?P<value>.*?)(?=\r?\n--|\Z)"""
)
_PAIR_VALUE, _WORD_VALUE = re.compile(r"[^&\s]*"), re.compile(r"[^,}\]\n]*")
_PATH_PARAMETER_VALUE = re.compile(r"[^&;/?#\s]*")  # of `;jsessionid=`


def masked_text(text: str, *, personal: bool = False) -> str:
    """Return JSON, a path with its query, a form, header fields or a sentence with the values of secrets hidden."""
    return _masked_text(text, personal, _ENCODINGS)


def _masked_text(text: str, personal: bool, encodings: int) -> str:
    if "=" not in text and ":" not in text:
        return text
    bare = text.strip()
    if bare[:1] in ("{", "[") and bare[-1:] in ("}", "]"):
        try:
            value = decode(bare)
            shown = _masked(value, personal, False, encodings)
        except (NotJSON, RecursionError):
            pass
        else:
            return text if shown == value else encode(shown).decode()
    if "form-data" in text.lower():
        text = _PART.sub(lambda part: _masked_part(part, personal), text)
    return _masked_pairs(text, personal, encodings)


def _masked_part(part: re.Match[str], personal: bool) -> str:
    return part["head"] + HIDDEN if _is_hidden(part["name"], personal=personal, query=True) else part[0]


def _masked_pairs(text: str, personal: bool, encodings: int) -> str:
    """Hide the values that follow a name and `=` or `:`."""
    pieces, end, checked = [], 0, 0
    for found in _NAME.finditer(text):
        if found.start() < end:
            continue
        if found["pair"] is None:
            hidden, bare = _is_hidden(found["key"] or found["word"], personal=personal, query=False), _WORD_VALUE
        else:
            hidden = _is_hidden(unquote_plus(found["pair"]), personal=personal, query=True)
            bare = _PATH_PARAMETER_VALUE if text[found.start() - 1 : found.start()] == ";" else _PAIR_VALUE
        if hidden:
            pieces.append(text[end : found.end()])
            shown, end = _hidden_value(text, found.end(), bare)
            pieces.append(shown)
        elif found["pair"] is not None and encodings and found.end() >= checked:
            value = _PAIR_VALUE.match(text, found.end())
            assert value is not None
            shown, checked = _masked_encoded(value[0], personal, encodings), value.end()
            if shown != value[0]:
                pieces += [text[end : found.end()], shown]
                end = checked
    return "".join([*pieces, text[end:]])


def _masked_encoded(text: str, personal: bool, encodings: int) -> str:
    """Hide secrets in a percent-encoded value: `message=%7B%22pin%22%3A1%7D`."""
    if "%" not in text:
        return text
    masked_once = _masked_pairs(text, personal, 0)  # before decoding, which could add the ends of values
    value = unquote_plus(masked_once)
    shown = _masked_text(value, personal, encodings - 1)
    return masked_once if shown == value else quote(shown, safe="[]/:?=")


def _hidden_value(text: str, start: int, bare: re.Pattern[str]) -> tuple[str, int]:
    """Return the placeholder for the value at `start`, and its end. `bare` matches a value that is not quoted."""
    opening = _QUOTE.match(text, start)
    if opening is not None:
        mark, end = opening[0], _end_of_string(text, opening)
        return (f"{mark}{HIDDEN}{mark}", end) if end else (f"{mark}{HIDDEN}", len(text))
    if text.startswith(HIDDEN, start):
        return HIDDEN, start + len(HIDDEN)
    if text[start : start + 1] in ("{", "["):
        return HIDDEN, len(text)
    value = bare.match(text, start)
    assert value is not None
    return HIDDEN, value.end()


def _end_of_string(text: str, opening: re.Match[str]) -> int | None:
    r"""Return the end of a string; None if it is cut off. In JSON in a string, a quote is `\"`, a backslash `\\\\`."""
    escapes = len(opening[0])
    for closing in re.compile(r"(?<!\\)(\\*)" + opening[0][-1]).finditer(text, opening.end()):
        if len(closing[1]) % (2 * escapes) == escapes - 1:
            return closing.end()
    return None
