"""No template costs more than a limit: a table of all filters of Jinja2, all methods of text, and loops."""

from __future__ import annotations

import resource

import pytest
from jinja2.filters import FILTERS

from cometreel.scenario.templates import template

HUGE = 10**9
"""A number that a client may send: `{{ 'x'.ljust(request.body.n) }}`."""
TEXT = "<p a=1> http://gws.example/x\t\n" * 2_000
SEES = {
    "n": HUGE,
    "text": TEXT,
    "long": "x" * 1_000_000,
    "list": [TEXT[:50]] * 1_000,
    "deep": {str(number): [number] for number in range(1_000)},
    "lists": [[number] for number in range(20_000)],
}
LIMITED = (
    "SecurityError: the result is too large",
    "SecurityError: the template takes too many steps or creates too much text",
)

FILTER_CALLS: dict[str, list[str]] = {
    "abs": ["(-5)|abs", "'x'|abs"],
    "attr": ["text|attr('ljust')(n)", "list|attr('x')"],
    "batch": [
        "[1]|batch(n, 'x')|list",
        "list|batch(1, 'x')|list",
        "lists|batch(2)|map('batch', n, 0)|map('list')|list",
    ],
    "capitalize": ["long|capitalize"],
    "center": ["'x'|center(n)", "'x'|center(width=n)"],
    "count": ["list|count"],
    "d": ["nothing|d(text)"],
    "default": ["nothing|default(text)"],
    "dictsort": ["deep|dictsort"],
    "e": ["long|e"],
    "escape": ["('<' * 1000000)|escape"],
    "filesizeformat": ["n|filesizeformat"],
    "first": ["list|first"],
    "float": ["text|float"],
    "forceescape": ["('<' * 1000000)|forceescape"],
    "format": [
        "'%1000000000d'|format(1)",
        "'%*d'|format(n, 1)",
        "'%.*f'|format(n, 1)",
        "('%(a)s' * 1000)|format(a=long)",
    ],
    "groupby": ["lists|groupby(0)|list"],
    "indent": ["text|indent(n)", "text|indent(long)", "text|indent(width=n, first=true)"],
    "int": ["('9' * 1000000)|int", "('f' * 1000000)|int(0, 16)"],
    "items": ["deep|items|list"],
    "join": ["list|join(long)", "lists|map('first')|join(d=long)", "long|join(text)"],
    "last": ["list|last"],
    "length": ["list|length"],
    "list": ["range(99999)|list", "long|list"],
    "lower": ["long|lower"],
    "map": ["list|map('center', n)|list", "range(99999)|map('center', 9999)|list"],
    "max": ["list|max"],
    "min": ["list|min"],
    "pprint": ["deep|pprint"],
    "random": [],
    "reject": ["list|reject('in', long)|list"],
    "rejectattr": ["[deep]|rejectattr('1')|list"],
    "replace": ["long|replace('x', text)", "long|replace('', text)", "long|replace(old='x', new=text)"],
    "reverse": ["list|reverse|list"],
    "round": ["1.5|round(n, 'ceil')", "1.5|round(n)", "1.5|round(precision=n, method='floor')"],
    "safe": ["long|safe"],
    "select": ["list|select('in', long)|list"],
    "selectattr": ["[deep]|selectattr('1')|list"],
    "slice": ["[1]|slice(n)|list", "list|slice(n, 'x')|list"],
    "sort": ["list|sort"],
    "string": ["deep|string"],
    "striptags": ["text|striptags"],
    "sum": ["lists|sum(start=[])", "lists|map('list')|sum(start=())", "range(9)|sum"],
    "title": ["long|title"],
    "tojson": ["deep|tojson", "deep|tojson(n)", "deep|tojson(indent=n)"],
    "trim": ["long|trim"],
    "truncate": ["long|truncate(5, true, long)", "long|truncate(n)"],
    "unique": ["list|unique|list"],
    "upper": ["long|upper"],
    "urlencode": ["long|urlencode", "deep|urlencode"],
    "urlize": ["text|urlize", "text|urlize(rel=long)", "text|urlize(5, true, long)"],
    "wordcount": ["text|wordcount"],
    "wordwrap": ["long|wordwrap(1, true, text)", "long|wordwrap(width=1, wrapstring=long)"],
    "xmlattr": ["deep|xmlattr", "{'a': long}|xmlattr"],
}

METHOD_CALLS: dict[str, list[str]] = {
    "capitalize": ["long.capitalize()"],
    "casefold": ["long.casefold()"],
    "center": ["'x'.center(n)"],
    "count": ["long.count('x')"],
    "encode": ["long.encode('utf-32')|length", "'x'.encode().ljust(n)", "'x'.encode().zfill(n)"],
    "endswith": ["long.endswith('x')"],
    "expandtabs": ["text.expandtabs(n)", "text.expandtabs(tabsize=n)"],
    "find": ["long.find('y')"],
    "format": [
        "'{:>1000000000}'.format(1)",
        "'{:>{}}'.format(1, n)",
        "('{0}' * 1000).format(long)",
        "'{:{w}}'.format(1, w=n)",
    ],
    "format_map": ["'{a:>1000000000}'.format_map({'a': 1})", "('{a}' * 1000).format_map({'a': long})"],
    "index": ["long.index('x')"],
    "isalnum": ["long.isalnum()"],
    "isalpha": ["long.isalpha()"],
    "isascii": ["long.isascii()"],
    "isdecimal": ["long.isdecimal()"],
    "isdigit": ["long.isdigit()"],
    "isidentifier": ["long.isidentifier()"],
    "islower": ["long.islower()"],
    "isnumeric": ["long.isnumeric()"],
    "isprintable": ["long.isprintable()"],
    "isspace": ["long.isspace()"],
    "istitle": ["long.istitle()"],
    "isupper": ["long.isupper()"],
    "join": ["long.join(list)", "long.join(text)", "''.join([long] * 1000)", "text.join(list|map('upper'))"],
    "ljust": ["'x'.ljust(n)"],
    "lower": ["long.lower()"],
    "lstrip": ["long.lstrip()"],
    "maketrans": ["'x'.translate(''.maketrans({'x': long}))|length"],
    "partition": ["long.partition('x')"],
    "removeprefix": ["long.removeprefix('x')"],
    "removesuffix": ["long.removesuffix('x')"],
    "replace": ["long.replace('x', text)", "long.replace('', text)"],
    "rfind": ["long.rfind('y')"],
    "rindex": ["long.rindex('x')"],
    "rjust": ["'x'.rjust(n)"],
    "rpartition": ["long.rpartition('x')"],
    "rsplit": ["text.rsplit('x')"],
    "rstrip": ["long.rstrip()"],
    "split": ["text.split('x')"],
    "splitlines": ["text.splitlines()"],
    "startswith": ["long.startswith('x')"],
    "strip": ["long.strip()"],
    "swapcase": ["long.swapcase()"],
    "title": ["long.title()"],
    "translate": ["long.translate({120: text})", "long.translate(['y' * 1000] * 130)"],
    "upper": ["long.upper()"],
    "zfill": ["'x'.zfill(n)"],
}

GROWING = "{{% set s = namespace(x={}) %}}{{% for i in range(60) %}}{{% set s.x = {} %}}{{% endfor %}}{{{{ s.x }}}}"
OTHERS: dict[str, str] = {
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "a filtered loop": "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
    "text in a loop": "{% for a in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "a constant in a loop": "{% for a in range(99999) %}{{ '" + "x" * 1000 + "' }}{% endfor %}",
    "a growing text": GROWING.format("'x'", "s.x ~ s.x"),
    "a growing sum": GROWING.format("'x'", "s.x + s.x"),
    "a growing list": GROWING.format("[1]", "s.x + s.x"),
    "a growing tree": GROWING.format("[1]", "[s.x, s.x]"),
    "a growing number": GROWING.format("9", "s.x * s.x"),
    "a growing block": "{% for i in range(99) %}{% set x %}{{ long }}{{ long }}{% endset %}{{ x }}{% endfor %}",
    "a comparison in a loop": "{% for i in range(99999) %}{{ 'y' in long }}{% endfor %}",
    "a test in a loop": "{% for i in range(99999) %}{{ 'y' is in long }}{% endfor %}",
    "slices in a loop": "{% for i in range(99999) %}{% set x = long[1:] %}{% endfor %}",
    "a search in a loop": "{% for i in range(99999) %}{{ lists.index([19999]) }}{% endfor %}",
    "macros": "{% macro m(d) %}{% for i in range(99) if d %}{{ m(d - 1) }}{% endfor %}{% endmacro %}{{ m(9) }}",
    "a recursive loop": "{% for i in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    "a repeated text": "{{ 'x' * n }}",
    "a repeated list": "{{ [1] * n }}",
    "a number of bytes": "{{ (1).to_bytes(n, 'big') }}",
    "a format with %": "{{ '%1000000000d' % 1 }}",
    "a format with % and a name": "{{ '%(a)1000000000d' % {'a': 1} }}",
    "a format with % and a star": "{{ '%*d' % (n, 1) }}",
    "a format of a text": "{{ ('%s' * 1000) % (([long] * 1000)|list) }}{{ ('%(a)s' * 1000) % {'a': long} }}",
    "a safe text": "{{ ('{:>1000000000}'|safe).format(1) }}",
}


def evaluate(text: str) -> str:
    """Return the reason of the failure; fail the test if the template took much memory or created much text."""
    before = _most_memory()
    value, reason = template(text).evaluate(SEES)
    assert _most_memory() - before < 400_000_000
    assert len(str(value)) <= 20_000_000
    assert len(reason) < 1000
    return reason


def _most_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes, of Linux


def test_the_tables_are_complete() -> None:
    """A new version of Jinja2 or Python may add filters and methods."""
    assert FILTER_CALLS.keys() == FILTERS.keys()
    assert METHOD_CALLS.keys() == {name for name in dir(str) if not name.startswith("_")}


@pytest.mark.parametrize("expression", [call for calls in FILTER_CALLS.values() for call in calls])
def test_each_filter_is_limited(expression: str) -> None:
    reason = evaluate(f"{{{{ {expression} }}}}")
    assert "n" not in _words(expression) or reason in ("", *LIMITED) or "TypeError" in reason


@pytest.mark.parametrize("expression", [call for calls in METHOD_CALLS.values() for call in calls])
def test_each_method_is_limited(expression: str) -> None:
    reason = evaluate(f"{{{{ {expression} }}}}")
    assert "n" not in _words(expression) or reason in ("", *LIMITED)


@pytest.mark.parametrize("text", OTHERS.values(), ids=OTHERS.keys())
def test_loops_and_operators_are_limited(text: str) -> None:
    reason = evaluate(text)
    assert reason in LIMITED or "RecursionError" in reason


def _words(text: str) -> set[str]:
    return set(text.replace("(", " ").replace(")", " ").replace(",", " ").split())


def test_usual_templates_are_not_limited() -> None:
    """A large reply is made from a request; a loop over a thousand items; loop variables work as before."""
    assert evaluate("{{ long }}{{ long }}") == ""
    assert template("{{ list|map('upper')|join(', ') }}").evaluate(SEES)[0] == ", ".join([TEXT[:50].upper()] * 1000)
    text = "{% for x in list %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% endfor %}"
    assert template(text).evaluate({"list": ["a", "b"]}) == ("1/2,2/2", "")
    text = "{% for k, v in deep.items() if v[0] > 997 %}{{ k }}={{ v }};{% else %}none{% endfor %}"
    assert template(text).evaluate(SEES) == ("998=[998];999=[999];", "")
    assert template("{{ '{:>5}|{a}'.format(1, a=2) }}{{ '%03d' % 7 }}").evaluate({}) == ("    1|2007", "")
    assert template("{{ [3, 1]|sort|list }}").evaluate({}) == ([1, 3], "")


def test_running_out_of_memory_is_a_failed_template() -> None:
    def fails() -> None:
        raise MemoryError

    assert template("{{ f() }}").evaluate({"f": fails}) == (None, "MemoryError")
