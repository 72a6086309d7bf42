"""HTML templates: Jinja2 with escaping, loaded from the `templates` folder of a package."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

__all__ = ["html_template"]


@cache
def html_template(package: str, name: str) -> Template:
    """Return the template `templates/NAME.html.j2` of a package. It escapes all values; an unknown name is an error."""
    loader = PackageLoader(package, "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(f"{name}.html.j2")
