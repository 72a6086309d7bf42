"""The Jinja2 environment of templates: sandboxed, with limits, and without functions that depend on time or chance.

Imported for the first template: most scenarios have none, and a server starts sooner without Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeAlias, cast

import jinja2
from jinja2 import meta, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import _PassArg
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from cometreel.jsonvalue import JSON
from cometreel.scenario.template_limits import (
    STEP,
    EscapeFormatter,
    Formatter,
    budget,
    counted,
    filter_cost,
    method_cost,
    percent_cost,
    size_of,
    spend,
)

__all__ = ["Evaluate", "TemplateEnvironment", "template_environment"]

Evaluate: TypeAlias = Callable[[Mapping[str, object]], tuple[JSON, str]]
"""Evaluates a template with these variables: the value and an empty text, or None and the reason of the failure."""

_SINGLE_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_LONGEST_POWER = 4096
"""The limit of bits in a result of `**`."""
_LONGEST_NUMBER = 100_000
"""The limit of bits in a result of `*`."""
_LONGEST_REASON = 500


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2 in which members of an object take precedence over its methods, and nothing is evaluated at load.

    Of Jinja2's global functions, those in `global_names` are kept. `finalize` formats values inside other text.
    """

    intercepted_binops = frozenset({"+", "*", "**", "%"})
    syntax_error = jinja2.TemplateSyntaxError

    def __init__(self, global_names: frozenset[str], finalize: Callable[[object], object]) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, finalize=_limited_output(finalize), autoescape=False)
        # no code runs at load: constant expressions depend on the context, as all filters and tests here
        for name in set(self.globals) - global_names:
            del self.globals[name]
        del self.filters["random"]
        self.filters = {name: _limited(name, function) for name, function in self.filters.items()}
        self.tests = {
            name: _limited(name, cast(Callable[..., bool], function)) for name, function in self.tests.items()
        }
        self.filters |= {_CHARGE: pass_context(_charged), _COUNT: pass_context(_counted)}

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        return super()._generate(_Limiter().visit(source), name, filename, defer_init)

    def call(self, context: jinja2.runtime.Context, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
        """Call a function or a method, if that is allowed and not too costly."""
        if getattr(function, "__name__", "") == "join" and arguments:
            arguments = ([*counted(arguments[0])], *arguments[1:])
        spend(method_cost(function, arguments, keywords))
        return _limited_result(super().call(context, function, *arguments, **keywords))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Return `str.format` or `str.format_map` with limits, as Jinja2 does without; None for another method."""
        name, text = getattr(value, "__name__", ""), getattr(value, "__self__", None)
        if name not in ("format", "format_map") or not isinstance(text, str) or super().wrap_str_format(value) is None:
            return None
        formatter = EscapeFormatter(self, escape=text.escape) if isinstance(text, Markup) else Formatter(self)

        def formatted(*arguments: Any, **keywords: Any) -> str:
            if name == "format_map":
                (keywords,), arguments = arguments, ()
            return type(text)(formatter.vformat(text, arguments, keywords))

        return formatted

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a member of an object, or an attribute of another value."""
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _MAPPING_METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Evaluate `+`, `*`, `**` or `%`, unless the result is too large."""
        numbers = [abs(one) for one in (left, right) if isinstance(one, int)]
        if operator == "%":
            spend(STEP + (percent_cost(left, right) if isinstance(left, str) else 0))
        elif operator == "+" or len(numbers) == 0:
            spend(STEP + size_of(left, deep=False) + size_of(right, deep=False))
        elif len(numbers) == 2:
            bits = numbers[0].bit_length() * numbers[1] if operator == "**" else sum(map(int.bit_length, numbers))
            if bits > (_LONGEST_POWER if operator == "**" else _LONGEST_NUMBER):
                raise SecurityError("the result is too large")
            spend(STEP + bits)
        else:
            spend(
                STEP + numbers[0] * max(size_of(one, deep=False) for one in (left, right) if not isinstance(one, int))
            )
        return super().call_binop(context, operator, left, right)

    def compiled(self, text: str, convert: Callable[[object], JSON]) -> tuple[frozenset[str], Evaluate]:
        """Compile a template; return the variables that it reads, and the function that evaluates it.

        `convert` converts the result. It may raise the errors of an expression.

        :raises jinja2.TemplateSyntaxError: if its syntax is invalid.
        """
        tree = self.parse(text)
        names = frozenset(meta.find_undeclared_variables(tree))
        single = _SINGLE_EXPRESSION.fullmatch(text.strip()) if _is_single_expression(tree) else None
        if single is not None:
            return names, _evaluation(self.compile_expression(single[1], undefined_to_none=False), convert)
        return names, _evaluation(self.from_string(text).render, convert)


@lru_cache(maxsize=1)
def template_environment(global_names: frozenset[str], finalize: Callable[[object], object]) -> TemplateEnvironment:
    """Return the environment, created once.

    Not cached by the caller: pytest's `pytester` removes Jinja2 and this module from `sys.modules`, and the environment
    must not be used with the next Jinja2.
    """
    return TemplateEnvironment(global_names, finalize)


def _evaluation(function: Callable[..., object], convert: Callable[[object], JSON]) -> Evaluate:
    def evaluate(variables: Mapping[str, object]) -> tuple[JSON, str]:
        try:
            with budget():
                value = function(variables)
                if isinstance(value, jinja2.Undefined):
                    str(value)  # StrictUndefined raises the error here
                spend(size_of(value))
                return convert(value), ""
        except jinja2.UndefinedError as error:
            return None, _short(error.message or "something is undefined")
        except Exception as error:  # noqa: BLE001  # whatever a template causes is its own failure
            return None, _short(f"{type(error).__name__}: {error}".removesuffix(": "))

    return evaluate


def _short(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else reason[:_LONGEST_REASON] + "…"


# ---------------------------------------------------------------------- limits
_CHARGE, _COUNT = "cometreel_charge", "cometreel_count"
"""The filters that `_Limiter` adds to expressions."""


def _charged(_: jinja2.runtime.Context, value: object) -> object:
    spend(size_of(value))
    return value


def _counted(_: jinja2.runtime.Context, items: Iterable[object], text: int) -> Iterator[object]:
    return counted(items, STEP + text)


def _limited_result(value: Any) -> Any:
    if isinstance(value, Iterator):
        return counted(value)
    spend(size_of(value, deep=False))
    return value


def _limited_output(finalize: Callable[[object], object]) -> Callable[[object], object]:
    def finalized(value: object) -> object:
        spend(STEP + size_of(value))
        return finalize(value)

    return finalized


def _limited(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter or a test with limits. It depends on the context, so that Jinja2 doesn't call it at load."""
    passed = getattr(function, "jinja_pass_arg", None)

    @pass_context
    def limited(context: jinja2.runtime.Context, *arguments: Any, **keywords: Any) -> Any:
        if name in ("join", "sum") and arguments and isinstance(arguments[0], Iterator):
            arguments = ([*arguments[0]], *arguments[1:])
        spend(filter_cost(name, arguments, keywords))
        first = {None: (), _PassArg.context: (context,), _PassArg.eval_context: (context.eval_ctx,)}
        return _limited_result(function(*first.get(passed, (context.environment,)), *arguments, **keywords))

    return limited


class _Limiter(NodeTransformer):
    """Adds limits to the operations that Jinja2 compiles to Python: loops, `~`, comparisons and slices."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # the name that Jinja2 calls
        """Count each iteration, with the text in the loop."""
        text = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        text += sum(len(const.value) for const in node.find_all(nodes.Const) if isinstance(const.value, str))
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNT, nodes.Const(text))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  # as above
        """Limit the size of a text."""
        self.generic_visit(node)
        node.nodes = [_filtered(one, _CHARGE) for one in node.nodes]
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  # as above
        """Limit the size of what is compared."""
        self.generic_visit(node)
        node.expr = _filtered(node.expr, _CHARGE)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, _CHARGE)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  # as above
        """Limit the size of slices."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = _filtered(node.node, _CHARGE)
        return node


def _filtered(node: nodes.Node, name: str, *arguments: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [*arguments], [], None, None, lineno=node.lineno, environment=node.environment)


def _is_single_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = [
        part for part in tree.body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)
