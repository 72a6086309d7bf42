"""The mutants of `make mutants` can still be planted, and the table in docs/testing.md has all of them."""

from __future__ import annotations

import pytest

from tests.mutants.mutants import PACKAGES, Mutant, MutantInvalid, read_mutants
from tests.mutants.table import problems, written_counts

SOURCE = '''\
class Client:
    @property
    def name(self):
        if self.first:
            return 1
        return 2

def name(first):
    """A fragment may occur in another function: return 2."""
    return first
'''


def mutant(find: str, replace: str, *, name: str = "Client.name", nth: int | None = None) -> Mutant:
    return Mutant("bayeux.yaml:7", "client.py", name, find, replace, "a fault", nth)


@pytest.mark.parametrize("package", PACKAGES)
def test_each_mutant_is_found_and_changes_its_function(package: str):
    assert problems(read_mutants(package)) == []


def test_the_table_has_all_mutants():
    assert written_counts() == {name: len(read_mutants(name)) for name in PACKAGES}


def test_a_fragment_is_replaced_in_its_function_only():
    assert mutant("return 2", "return 3").applied(SOURCE) == SOURCE.replace("        return 2", "        return 3")


def test_nth_selects_one_of_several_fragments():
    assert mutant("return ", "yield ", nth=2).applied(SOURCE) == SOURCE.replace("        return 2", "        yield 2")


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (
            mutant("return 4", "return 5"),
            "the fragment occurs 0 times in client.py Client.name; change it or add `nth`",
        ),
        (mutant("return", "yield"), "the fragment occurs 2 times in client.py Client.name; change it or add `nth`"),
        (mutant("return", "yield", nth=3), "nth is 3, but the fragment occurs 2 times in client.py Client.name"),
        (mutant("return 1", "return  1"), "the mutated module equals the original"),
        (mutant("first", "first", name="Client.names"), "cometreel/client.py has no Client.names"),
    ],
)
def test_a_mutant_that_changes_nothing_is_an_error_with_its_place(wrong: Mutant, problem: str):
    with pytest.raises(MutantInvalid) as raised:
        wrong.applied(SOURCE)
    assert str(raised.value) == f"tests/mutants/bayeux.yaml:7: {problem}"


def test_a_syntax_error_is_an_error_with_its_place():
    with pytest.raises(MutantInvalid, match=r"^tests/mutants/bayeux\.yaml:7: the mutated module is not valid Python: "):
        mutant("return 1", "return (").applied(SOURCE)
