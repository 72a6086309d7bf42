"""Redaction policies: YAML files that assign a treatment to keys, headers and query parameters."""

from __future__ import annotations

import re
from enum import Enum
from fnmatch import translate
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cometreel.errors import FileInvalid, Problem
from cometreel.scenario.findings import Finding, findings_of, near, problems_of
from cometreel.scenario.yaml_reader import read_yaml
from cometreel.secret_names import treatment_of

__all__ = ["Policy", "PolicyRule", "Treatment", "load_policy"]

_SHIPPED = ("default", "strict")
_CACHE_LIMIT = 20_000
_RULES = "secret, token, name, text, tree, message, keep or id KIND"
_KEYS = (
    "policy", "name", "extends", "identifiers", "names", "headers", "cookies", "keys", "queries", "dictionary-keys",
    "paths", "literal-texts",
)  # fmt: skip


class Treatment(Enum):
    """Treatments of values, as written in a policy file."""

    SECRET = "secret"  # noqa: S105  # the name of a treatment
    TOKEN = "token"  # noqa: S105  # the name of a treatment
    NAME = "name"
    TEXT = "text"
    TREE = "tree"
    MESSAGE = "message"
    IDENTIFIER = "id"
    KEEP = "keep"


class PolicyRule:
    """A treatment, with the kind for identifiers."""

    __slots__ = ("kind", "treatment")

    def __init__(self, treatment: Treatment, kind: str = "") -> None:
        self.treatment, self.kind = treatment, kind

    @property
    def is_secret(self) -> bool:
        """True if values are never kept: secrets, and tokens that are replaced."""
        return self.treatment in (Treatment.SECRET, Treatment.TOKEN)

    @property
    def is_inherited(self) -> bool:
        """True if the rule applies to all values in an object or array, too."""
        return self.is_secret or self.treatment is Treatment.TREE

    def __repr__(self) -> str:
        return f"PolicyRule({self.treatment.value} {self.kind})" if self.kind else f"PolicyRule({self.treatment.value})"


_RuleText = Annotated[str, Field(pattern=r"^(secret|token|name|text|tree|message|keep|id [a-z][a-z-]*)$")]


class _HeaderLists(BaseModel):
    model_config = ConfigDict(extra="forbid")

    request: list[str] = []
    reply: list[str] = []


class _PolicyFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    policy: Literal[1]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    extends: str | None = None
    identifiers: Literal["literal", "pseudonym"] | None = None
    names: Literal["standard"] | None = None
    headers: _HeaderLists = _HeaderLists()
    cookies: list[str] = []
    keys: dict[str, _RuleText] = {}
    queries: dict[str, _RuleText] = {}
    dictionary_keys: list[str] = Field([], alias="dictionary-keys")
    paths: dict[str, Annotated[str, Field(pattern=r"^[a-z][a-z-]*$")]] = {}
    literal_texts: list[str] = Field([], alias="literal-texts")


class _NameRules:
    """Rules by name: exact names first, then wildcards, then the standard names. Results are cached."""

    def __init__(self, rules: dict[str, str], *, standard: bool, query: bool) -> None:
        self._standard, self._query = standard, query
        self._exact: dict[str, PolicyRule] = {}
        self._wildcards: list[tuple[re.Pattern[str], PolicyRule]] = []
        self._cache: dict[str, PolicyRule | None] = {}
        for name, text in rules.items():
            word, _, kind = text.partition(" ")
            rule = PolicyRule(Treatment(word), kind)
            if any(sign in name for sign in "*?["):
                self._wildcards.append((re.compile(translate(name.lower())), rule))
            else:
                self._exact[name.lower()] = rule

    def rule(self, name: str) -> PolicyRule | None:
        """Return the rule for a name, or None."""
        try:
            return self._cache[name]
        except KeyError:
            lower = name.lower()
            found = self._exact.get(lower) or next(
                (rule for pattern, rule in self._wildcards if pattern.match(lower)), None
            )
            if found is None and self._standard and (treatment := treatment_of(name, query=self._query)):
                found = PolicyRule(Treatment(treatment))
            if len(self._cache) < _CACHE_LIMIT:
                self._cache[name] = found
            return found


class Policy:
    """A redaction policy, merged with the policy that it extends."""

    def __init__(self, file: _PolicyFile) -> None:
        self.name = file.name
        self.strict = file.identifiers == "pseudonym"
        self.request_headers = frozenset(name.lower() for name in file.headers.request)
        self.reply_headers = frozenset(name.lower() for name in file.headers.reply)
        self.session_cookies = frozenset(file.cookies)
        self.paths = dict(file.paths)
        self.literal_texts = frozenset(file.literal_texts)
        self.dictionary_keys = tuple(_with_group(pattern) for pattern in file.dictionary_keys)
        standard = file.names == "standard"
        self._keys = _NameRules(file.keys, standard=standard, query=False)
        self._queries = _NameRules({**file.keys, **file.queries}, standard=standard, query=True)

    def key_rule(self, name: str) -> PolicyRule | None:
        """Return the rule for a key of a JSON object, or None."""
        return self._keys.rule(name)

    def query_rule(self, name: str) -> PolicyRule | None:
        """Return the rule for a parameter of a query or form, or None."""
        return self._queries.rule(name)


def _with_group(pattern: str) -> re.Pattern[str]:
    before, _, after = pattern.partition("*")
    return re.compile(f"^({re.escape(before)})(.*)({re.escape(after)})$", re.IGNORECASE | re.DOTALL)


@cache
def _shipped(name: str) -> Policy:
    return Policy(_merged(_read(f"{name}.yaml", _shipped_text(name)), name))


def load_policy(choice: str | Path) -> Policy:
    """Load a policy: `default`, `strict`, or a file.

    :raises FileInvalid: with all problems, if the file can't be read or isn't a policy.
    """
    if isinstance(choice, str) and choice in _SHIPPED:
        return _shipped(choice)
    return Policy(_merged(_file(Path(choice)), str(choice)))


def _file(path: Path) -> _PolicyFile:
    try:
        return _read(str(path), path.read_text("utf-8"))
    except OSError as error:
        found = f"can't be read: {error.strerror or error}"
        hint = "shipped policies: " + " and ".join(_SHIPPED)
    except UnicodeDecodeError:
        found, hint = "not UTF-8 text", ""
    raise FileInvalid([Problem(str(path), 0, 0, found, "a policy in YAML", hint)])


def _shipped_text(name: str) -> str:
    return resources.files("cometreel.recording").joinpath("policies", f"{name}.yaml").read_text("utf-8")


def _read(name: str, text: str) -> _PolicyFile:
    document = read_yaml(text, name, kind="a policy", first="policy: 1")
    try:
        return _PolicyFile.model_validate(document.value)
    except ValidationError as error:
        raise FileInvalid(problems_of(_findings(error), document)) from None


def _findings(error: ValidationError) -> list[Finding]:
    details = error.errors(include_url=False)
    return [
        _policy_finding(one["type"], one["input"], finding)
        for one, finding in zip(details, findings_of(error), strict=True)
    ]


def _policy_finding(kind: str, value: object, finding: Finding) -> Finding:
    """Return a finding with the terms of policies where the message of pydantic is unclear."""
    if kind == "extra_forbidden":
        key = str(finding.path[-1])
        found = f"policies have no key {key!r}"
        return Finding(finding.path, found, ", ".join(_KEYS), near(key, _KEYS), at_key=True)
    if kind == "string_pattern_mismatch" and finding.path[0] in ("keys", "queries"):
        return Finding(finding.path, finding.found, _RULES, near(str(value), _RULES.split(", ")))
    return finding


def _merged(file: _PolicyFile, name: str, seen: tuple[str, ...] = ()) -> _PolicyFile:
    """Merge a policy with the one that it extends; its own rules come first."""
    if file.extends is None:
        return file
    if file.extends in seen or file.extends not in _SHIPPED:
        expected = " or ".join(_SHIPPED)
        raise FileInvalid([Problem(name, 0, 0, f"it extends {file.extends!r}", expected)])
    base = _merged(_read(f"{file.extends}.yaml", _shipped_text(file.extends)), name, (*seen, file.extends))
    return _PolicyFile.model_validate(
        {
            "policy": 1,
            "name": file.name,
            "identifiers": file.identifiers or base.identifiers,
            "names": file.names or base.names,
            "headers": {
                "request": base.headers.request + file.headers.request,
                "reply": base.headers.reply + file.headers.reply,
            },
            "cookies": base.cookies + file.cookies,
            "keys": _merged_rules(file.keys, base.keys),
            "queries": _merged_rules(file.queries, base.queries),
            "dictionary-keys": file.dictionary_keys + base.dictionary_keys,
            "paths": {**base.paths, **file.paths},
            "literal-texts": base.literal_texts + file.literal_texts,
        }
    )


def _merged_rules(own: dict[str, str], base: dict[str, str]) -> dict[str, str]:
    own_names = {name.lower() for name in own}
    return own | {name: rule for name, rule in base.items() if name.lower() not in own_names}
