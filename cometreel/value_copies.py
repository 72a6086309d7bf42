"""Copies and pickles of the values in compiled modules, by their constructor.

Without it, mypyc would create an object without values and then set them. A frozen dataclass refuses that, and a class
with a written `__init__` can't be created without arguments.
"""

from __future__ import annotations

import copyreg
import sys
from dataclasses import is_dataclass
from typing import Any

__all__ = ["copy_by_constructor"]


def copy_by_constructor(module_name: str) -> None:
    """Register the dataclasses of a module with `copyreg`, except those without equality, which are no values."""
    for each in vars(sys.modules[module_name]).values():
        if isinstance(each, type) and each.__module__ == module_name and is_dataclass(each) and _has_equality(each):
            copyreg.pickle(each, _constructor_call)


def _has_equality(dataclass_type: type) -> bool:
    return "__eq__" in vars(dataclass_type)


def _constructor_call(value: Any) -> tuple[type, tuple[object, ...]]:  # any dataclass
    """Return the class and the arguments that create an equal value."""
    return type(value), tuple([getattr(value, name) for name in value.__match_args__])
