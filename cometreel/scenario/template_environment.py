"""The Jinja2 environment of templates: sandboxed, with limits, and without functions that depend on time or chance.

Imported for the first template: most scenarios have none, and a server starts sooner without Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["TemplateEnvironment"]

_SINGLE_EXPRESSION = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
_MAPPING_METHODS = frozenset({"get", "items", "keys", "values"})
_LARGEST = 1_000_000
"""The limit of list items or characters that `*` may create."""
_LONGEST_POWER = 4096
"""The limit of bits in a result of `**`."""


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Jinja2 in which members of an object take precedence over its methods, and nothing is evaluated at load.

    Of Jinja2's global functions, those in `global_names` are kept. `finalize` formats values inside other text.
    """

    intercepted_binops = frozenset({"*", "**"})

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

    def compiled(self, text: str) -> tuple[frozenset[str], Callable[..., object]]:
        """Compile a template; return the variables that it reads, and the function that evaluates it.

        :raises jinja2.TemplateSyntaxError: if its syntax is invalid.
        """
        tree = self.parse(text)
        names = frozenset(meta.find_undeclared_variables(tree))
        single = _SINGLE_EXPRESSION.fullmatch(text.strip()) if _is_single_expression(tree) else None
        if single is not None:
            return names, self.compile_expression(single[1], undefined_to_none=False)
        return names, self.from_string(text).render


def _is_single_expression(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = [
        part for part in tree.body[0].nodes if not (isinstance(part, nodes.TemplateData) and not part.data.strip())
    ]
    return len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData)
