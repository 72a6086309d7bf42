"""Names of secrets and of personal data: one grammar for the recorder's policy `default` and for masking.

A name is split into words: `newPassword`, `new_password`, `NEW-PASSWORD` and `newpassword2` are `new password`. A rule
is a phrase of words; `*` at its start or end stands for any other words. The result is a treatment of a redaction
policy: `secret`, `token`, `name`, `text` or `tree`; None if no rule matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from cometreel.jsonvalue import JSON

__all__ = [
    "is_secret",
    "is_secret_header",
    "is_secret_segment",
    "may_be_renamed",
    "member_name",
    "treatment_of",
    "words_of",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RULES: Mapping[str, str] = {
    "secret": """
        * password * ; * passwort * ; * kennwort * ; * passwd * ; * passphrase * ; * passcode * ; * pass code *
        * pass phrase * ; * pass word * ; * pwd * ; pass ; user pass ; db pass ; admin pass ; smtp pass ; * pin
        * pin code ; * puk ; * otp * ; * totp * ; mfa ; 2fa ; * cvv * ; * cvc * ; * csc code ; * card security code
        * secret * ; * csrf * ; * xsrf * ; * token * ; * jwt * ; bearer * ; * credential * ; * cookie ; cookie value
        auth ; basic auth ; http auth ; auth header ; authorization ; * authorization header ; proxy authorization
        * api key * ; * access key * ; * private key * ; * secret key * ; * session key * ; * security key *
        * signing key * ; * encryption key * ; * decryption key * ; * master key * ; * shared key *
        * consumer key * ; * auth key * ; * authentication key * ; * account key * ; * storage key *
        * subscription key * ; * ssh key * ; * host key ; * client key * ; * license key * ; * recovery key *
        * app key * ; * service account key * ; * verification code * ; * one time code * ; * one time pass *
        * mfa code * ; * 2fa code * ; * sms code * ; * otc ; * two factor code * ; * factor code *
        * security code * ; * auth code * ; * authorization code * ; * authentication code *
        * authenticator code * ; * confirmation code * ; * activation code * ; * reset code * ; * access code *
        * backup code * ; * recovery code * ; * invite code * ; * invitation code * ; * pairing code *
        * code verifier ; * login code secret ; wwe code ; * unlock code * ; * security answer * ; * secret answer *
        * client assertion ; assertion ; * saml assertion ; saml request ; saml response ; relay state ; ssid ; surl
        rnurl ; rnsid ; rnusername
    """,
    "token": """
        client id ; secure key ; contact center id ; * session id * ; * jsession id ; * session identifier ; sid
        * sess id ; session handle ; * session ticket ; * auth ticket ; * sso ticket ; * login ticket
    """,
    "name": """
        * user name ; user ; user login ; login ; login name ; agent login ; login code ; agent name ; employee id
        * employee number ; * first name ; * last name ; * middle name ; * given name ; * family name ; * surname
        * sur name ; * full name ; * maiden name ; * birth name ; * nick name ; * screen name ; * display name
        display user name ; * customer name ; * contact name ; * caller name ; * person name ; * sender name
        * recipient name ; * email address * ; * e mail address * ; email ; e mail ; mail ; * user email
        * contact email ; * customer email ; * work email ; * home email ; * private email ; * primary email
        * secondary email ; reply to ; * recipient ; sender ; from ; from address * ; to ; to address * ; cc
        cc address * ; bcc ; bcc address * ; caller id ; other dn ; dnis ; ani ; phone ; mobile ; tel ; fax ; cell
        * phone number ; * mobile number ; * tel number ; * fax number ; * cell number ; * home phone ; * work phone
        * mobile phone ; * cell phone ; * business phone ; * office phone ; * private phone ; * customer phone
        * contact phone ; * user phone ; * agent phone ; * day phone ; * evening phone ; * primary phone
        * secondary phone ; * other phone ; * telephone ; * telephone number ; * msisdn ; e164 number
        formatted phone number ; * home fax ; * work fax ; * business fax ; twitter handle ; social handle
        * handle ; chat server host ; contact id ; * card number ; * card no ; * credit card ; * debit card
        * cc number ; pan ; * iban ; * bank account ; * account number ; * routing number ; * sort code ; ssn
        * social security number ; * passport number ; * passport no ; * tax id ; * tax number ; * national id
        * driver license ; * drivers license ; * driving license
    """,
    "text": """
        address ; * street address ; * home address ; * work address ; * postal address ; * billing address
        * shipping address ; * delivery address ; * mailing address ; * residential address ; address line ; street
        street name ; city ; * postal code ; * post code ; zip ; * zip code ; * birth date
        * date of birth ; * birthday ; * birth day ; * place of birth ; * birth place ; dob ; subject
        * mail subject ; text ; body ; html body ; plain text body ; * body text ; structured text ; content
        comment ; note ; description ; message ; chat ; original message ; * message text ; * message body
        * message content ; * chat text ; * chat message ; * note text ; * note body ; * note content
        * comment text ; * comment body ; * sms text ; * sms body ; * sms message ; * mail text ; * mail body
        * email text ; * email body ; * reply text ; * reply body ; * transcript text
    """,
    "tree": """
        participant ; party ; parties ; contact ; user data ; attached data ; extensions ; custom attributes
        transcript ; messages ; message log ; attachments
    """,
}
"""The rules, by treatment."""

_QUERY_RULES: Mapping[str, str] = {
    "secret": """
        code ; state ; nonce ; sig ; * signature ; key ; session ; sid ; redirect uri ; j password ; sso ; ticket
        device code
    """,
    "name": "j user name",
}
"""Further rules for queries and forms (OAuth, RFC 6749 §4.1; servlet logins)."""

_HEADER_RULES = """
* cookie * ; * key ; * auth * ; * authorization * ; * session * ; * ssid * ; * surl * ; * rnsid * ; * rnurl *
* rnusername * ; * pass ; * pin * ; * sid ; * ticket ; * assertion ; * nonce ; * sig ; * signature ; * sso
* saml * ; * otp * ; * mfa * ; * bearer * ; * client id * ; * secure key * ; * contact center id * ; * wwe code *
* relay state * ; * passcode *
"""
"""Further rules for the names of header fields."""

_SEGMENT_RULES = """
* token ; * session ; * session id ; * password ; * pwd ; * passwd ; * passcode ; * passphrase ; * otp ; pin ; * jwt
password reset ; forgot password ; * invite ; * invitation ; * api key ; * access key ; * access code
* verification code ; * activation code ; magic link ; verify email ; email verification
"""
"""Rules for the path segment before a secret."""

_ACTIONS = _words(
    """
    activate add all authorize begin cancel change check clear close confirm continue count create delete destroy
    detail end exchange extend forgot generate get heartbeat history info introspect invalidate invite issue join
    keepalive list logoff login logout me new open options ping policies policy ping post put query read refresh
    register reissue release remove renew request reset resume revoke rotate rules search send set settings setup
    start stats status stop submit summary terminate test update upgrade validate validation verify view
    """
)
"""Segments after one of them that are no secrets: `/token/refresh`."""

_KEPT = _words(
    """
    client_id filename workbinname operationname statusmessage errormessage maxtokens max_tokens total_tokens
    prompt_tokens completion_tokens input_tokens output_tokens cached_tokens token_type tokentype secretary
    secretariat secretaries passwordless cookieconsent www-authenticate proxy-authenticate
    access-control-allow-credentials access-control-allow-headers access-control-expose-headers
    access-control-request-headers sec-websocket-key sec-websocket-accept idempotency-key x-csrf-header
    surrogate-key cache-key x-cache-key
    """
)
"""Names that a rule would match, or that look like one; an OAuth `client_id` is public (RFC 6749 §2.2)."""

_AFTER = _words(
    """
    length min max policy type kind expired expires expiry expire expiration expiring in at count required enabled
    disabled allowed supported changed updated created issued url uri endpoint path name label title placeholder
    header param parameter mode method rule strength age valid validity invalid status state format algorithm alg
    scheme ttl lifetime timeout attempt tries error message limit size usage version date time timestamp description
    provider issuer scope scopes location ending digits count kind duration renewal
    """
)
"""Words that describe a secret and do not contain it: the `policy` of `passwordPolicy`."""

_BEFORE = _words(
    """
    is has use uses allow allows require requires enable disable show hide remember forgot can should must supports
    max min total num accept number
    """
)
"""Words before a secret whose value is a setting: the `require` of `requirePassword`."""

_VALUES = _words(
    """
    value val text string raw plain hash hashed encoded encrypted confirm confirmation repeat again new old current
    list home work office mobile private
    """
)
"""Words that may follow a phrase at the end of a name: the `value` of `pinValue`."""

_OTHER_WORDS = _words(
    """
    my new old user admin client server account login agent customer contact current confirm repeat temp db oauth
    device refresh id web app service system root reset hidden default primary secondary x
    """
)
"""Further words into which a name without capitals and separators is split: `refreshtoken`."""

_PLURALS = _words(
    """
    users chats emails mails messages contents
    """
)
"""Plurals that differ from their singular: `chats` are objects, a `chat` is a text."""

_STEMS = ("password", "passwort", "passwd", "passphrase", "passcode", "secret", "credential", "csrf", "xsrf")
"""Words that are also found inside longer words: `mypasswordx`."""

_ENDINGS = (
    "token",
    "pwd",
    "accesskey",
    "privatekey",
    "apikey",
    "sessionid",
    "sessid",
    "verificationcode",
    "securityanswer",
)
"""Words that are also found at the end of longer words: `wstoken`."""

_LONGEST_NAME, _SHORTEST_RANDOM = 200, 8
_PARTS = re.compile(r"[^\[\]./:]+")  # of `user[pin]`, `pin[]`, `user.pin` and `wsse:Password`; the last one is the name
_GENERATED = re.compile(r"[0-9A-Fa-f-]{16,}")  # an id as a key
_WORD = re.compile(r"(?i:2fa|e164)|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_a-zA-Z]+")


class _Rules:
    """Phrases with their treatments, by their first word."""

    def __init__(self, *tables: Mapping[str, str]) -> None:
        self.words: set[str] = set()
        self._by_first: dict[str, list[tuple[tuple[str, ...], bool, bool, str]]] = {}
        for treatment, text in (item for table in tables for item in table.items()):
            for phrase in re.split(r"[;\n]", text):
                words = phrase.split()
                if words:
                    self._add(words, treatment)

    def _add(self, words: list[str], treatment: str) -> None:
        starts, ends = words[0] == "*", words[-1] == "*"
        phrase = tuple(word for word in words if word != "*")
        self.words |= set(phrase)
        self._by_first.setdefault(phrase[0], []).append((phrase, starts, ends, treatment))

    def find(self, words: tuple[str, ...]) -> str | None:
        """Return the treatment of the first rule that matches; longer phrases come first at equal positions."""
        found = [
            (len(phrase), treatment)
            for start, word in enumerate(words)
            for phrase, starts, ends, treatment in self._by_first.get(word, ())
            if words[start : start + len(phrase)] == phrase
            and _allowed(words[:start], words[start + len(phrase) :], starts=starts, ends=ends)
        ]
        return max(found, key=lambda one: (one[1] == "secret", one[1] == "token", one[0]))[1] if found else None


def _allowed(before: tuple[str, ...], after: tuple[str, ...], *, starts: bool, ends: bool) -> bool:
    """Return True if a rule allows these words around its phrase."""
    if before and (not starts or before[0] in _BEFORE):
        return False
    if ends:
        return _AFTER.isdisjoint(after)
    return not after if not starts else all(word in _VALUES for word in after)


_JSON = _Rules(_RULES)
_QUERY = _Rules(_RULES, _QUERY_RULES)
_HEADER = _Rules({"secret": _HEADER_RULES})
_SEGMENT = _Rules({"secret": _SEGMENT_RULES})
_VOCABULARY = _JSON.words | _QUERY.words | _HEADER.words | _SEGMENT.words | _AFTER | _VALUES | _OTHER_WORDS
_LONGEST_WORD = max(map(len, _VOCABULARY))


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name in lower case and singular, without digits."""
    if _GENERATED.fullmatch(name):
        return ()
    return tuple(word for found in _WORD.findall(name) for word in _split(found.lower()))


@lru_cache(maxsize=8192)
def _split(word: str) -> tuple[str, ...]:
    """Split a word without capitals if it consists of known words; mark an unmistakable part of a longer word."""
    single = _singular(word)
    if single in _VOCABULARY or len(word) > 40:
        return (single,)
    parts = _known_parts(word) or _known_parts(single)
    if parts:
        return parts
    stem = next((stem for stem in _STEMS if stem in word), "")
    if stem and word not in _KEPT:
        return (stem,)
    ending = next((ending for ending in _ENDINGS if single.endswith(ending)), "")
    return (word.removesuffix(ending), *_split(ending)) if ending else (single,)


def _singular(word: str) -> str:
    if word in _VOCABULARY or word in _PLURALS:
        return word
    return next(
        (word[: -len(end)] for end in ("s", "es") if word.endswith(end) and word[: -len(end)] in _VOCABULARY), word
    )


def _known_parts(word: str) -> tuple[str, ...]:
    """Return the known words that a word consists of, the longest first; empty if there are others."""
    ends: dict[int, tuple[str, ...]] = {0: ()}
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - _LONGEST_WORD), end):
            if start in ends and end not in ends and _singular(word[start:end]) in _VOCABULARY:
                ends[end] = (*ends[start], _singular(word[start:end]))
    return ends.get(len(word), ())


def treatment_of(name: str, *, query: bool = False) -> str | None:
    """Return the treatment of a value by its name; more names have one in a `query` or a form."""
    return _treatment_of(name[:_LONGEST_NAME], query)


@lru_cache(maxsize=8192)
def _treatment_of(name: str, query: bool) -> str | None:
    parts = [part for part in _PARTS.findall(name) if not part.isdigit()] or [name]
    if parts[-1].lower() in _KEPT or name.lower() in _KEPT:
        return None
    words = words_of(parts[-1])
    if len(parts) > 1 and words and all(word in _VALUES for word in words):
        words = words_of(parts[-2]) + words
    return (_QUERY if query else _JSON).find(words)


def is_secret(name: str, *, query: bool = False) -> bool:
    """Tell whether a name marks its value as a secret; more names do so in a `query` or a form."""
    return treatment_of(name, query=query) in ("secret", "token")


def is_secret_header(name: str) -> bool:
    """Tell whether the value of a header field is a secret by the name of the field."""
    return is_secret(name) or _is_secret_header(name[:_LONGEST_NAME])


@lru_cache(maxsize=4096)
def _is_secret_header(name: str) -> bool:
    return name.lower() not in _KEPT and _HEADER.find(words_of(name)) is not None


def is_secret_segment(before: str, segment: str) -> bool:
    """Tell whether a path segment is a secret by the one before it: `/reset-password/…`, but not `/token/refresh`."""
    if not _is_before_secret(before[:_LONGEST_NAME]):
        return False
    plain = segment.isalpha() or not re.search(r"[^\W_]", segment)
    if before[-1:] in ("s", "S") and (plain or segment.isdigit() or len(segment) < _SHORTEST_RANDOM):
        return False  # a list of sessions or tokens
    if any(letter.isdigit() for letter in segment):
        return not re.fullmatch(r"v\d{1,2}", segment)
    words = words_of(segment)
    return bool(words) and not all(word in _ACTIONS or word in _VOCABULARY for word in words)


@lru_cache(maxsize=8192)
def _is_before_secret(segment: str) -> bool:
    return _SEGMENT.find(words_of(segment)) is not None


# ---------------------------------------------------------------------- members of objects
_NAME_KEYS = (
    "name",
    "key",
    "field",
    "fieldname",
    "parameter",
    "param",
    "attribute",
    "property",
    "header",
    "label",
    "id",
)
_VALUE_KEYS = _words(
    """
    value values val text content data string stringvalue textvalue newvalue oldvalue currentvalue defaultvalue
    """
)
_OAUTH_KEYS = _words(
    """
    grant_type granttype redirect_uri redirecturi code_verifier codeverifier client_secret clientsecret
    """
)


def member_name(members: Mapping[str, JSON], key: str) -> str:
    """Return the name that describes a member of an object.

    It is the key, except for `{"name": "password", "value": …}`, and for the `code` of an OAuth token request.
    """
    if not may_be_renamed(key):
        return key
    lower = key.lower()
    if lower in _VALUE_KEYS:
        return next(_sibling_names(members), key)
    if lower == "code" and any(name.lower() in _OAUTH_KEYS for name in members):
        return "authorization_code"
    return key


@lru_cache(maxsize=8192)
def may_be_renamed(key: str) -> bool:
    """Tell whether another member of the object may change the name of the member with this key."""
    lower = key.lower()
    return lower == "code" or lower in _VALUE_KEYS


def _sibling_names(members: Mapping[str, JSON]) -> Iterator[str]:
    lower = {name.lower(): value for name, value in members.items()}
    for name in _NAME_KEYS:
        value = lower.get(name)
        if isinstance(value, str) and len(value) <= _LONGEST_NAME and is_secret(value):
            yield value
