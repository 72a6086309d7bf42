"""The Jinja2 environment of templates: sandboxed, with limits, and without functions that depend on time or chance.

Imported for the first template: most scenarios have none, and a server starts sooner without Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cometreel.jsonvalue import JSON

__all__ = ["Evaluate", "TemplateEnvironment", "template_environment"]

Evaluate: TypeAlias = Callable[[Mapping[str, object]], tuple[JSON, str]]
"""Evaluates a template with these variables: the value and an empty text, or None and the reason of the failure."""

_SINGLE_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_EVALUATION_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_LARGEST = 1_000_000
"""The limit of list items or characters that `*` may create."""
_LONGEST_POWER = 4096
"""The limit of bits in a result of `**`."""


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2 in which members of an object take precedence over its methods, and nothing is evaluated at load.

    Of Jinja2's global functions, those in `global_names` are kept. `finalize` formats values inside other text.
    """

    intercepted_binops = frozenset({"*", "**"})
    syntax_error = jinja2.TemplateSyntaxError

    def __init__(self, global_names: frozenset[str], finalize: Callable[[object], object]) -> None:
        super().__init__(undefined=jinja2.StrictUndefined, finalize=finalize, autoescape=False)
        for name in set(self.globals) - global_names:
            del self.globals[name]
        del self.filters["random"]

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return a member of an object, or an attribute of another value."""
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            if attribute not in _MAPPING_METHODS:
                return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def call_binop(self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any) -> Any:
        """Evaluate `*` or `**`, unless the result is too large."""
        sizes = [len(one) for one in (left, right) if isinstance(one, str | list | tuple)]
        numbers = [abs(one) for one in (left, right) if isinstance(one, int)]
        if operator == "*" and sizes and numbers and sizes[0] * numbers[0] > _LARGEST:
            raise SecurityError("the result is too large")
        if operator == "**" and len(numbers) == 2 and numbers[0].bit_length() * numbers[1] > _LONGEST_POWER:
            raise SecurityError("the result is too large")
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
            value = function(variables)
            if isinstance(value, jinja2.Undefined):
                str(value)  # StrictUndefined raises the error here
            return convert(value), ""
        except jinja2.UndefinedError as error:
            return None, error.message or "something is undefined"
        except _EVALUATION_ERRORS as error:
            return None, f"{type(error).__name__}: {error}"

    return evaluate


def _is_single_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = [
        part for part in tree.body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)
