"""The scenario as users of Python see it: built from blocks, or loaded from files; dumped as YAML; compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from cometreel.scenario.call_site import call_site
from cometreel.scenario.yaml_reader import Document, FilePosition

from .block_building import arguments, invalid_call
from .exchange import CompiledScenario
from .files import as_written, dump_document, read_sources
from .findings import findings_of
from .linking import link
from .merging import merged
from .model import (
    BayeuxBlock,
    Block,
    CorrelationBlock,
    ExchangeBlock,
    FaultBlock,
    RoleBlock,
    ScenarioBlock,
    SessionBlock,
    SettingsBlock,
    SourceBlock,
    TimelineBlock,
)
from .section_options import BayeuxOptions, CorrelationOptions, SessionOptions, SettingsOptions, SourceOptions
from .sources import SourceFile, read_source

if TYPE_CHECKING:
    from .builders import HeadersToSend
    from .python_values import JSONInput

__all__ = ["Scenario", "source_of"]


class Scenario(ScenarioBlock):
    """A scenario as it is written. Two scenarios are equal if their contents are; positions don't count."""

    __slots__ = ("_files",)

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0913  # an argument for each key
            self,
            *,
            title: str | None = None,
            source: SourceOptions | SourceBlock | None = None,
            bayeux: BayeuxOptions | BayeuxBlock | None = None,
            session: SessionOptions | SessionBlock | None = None,
            correlation: str | CorrelationOptions | CorrelationBlock | None = None,
            ignore: Sequence[str] | None = None,
            settings: SettingsOptions | SettingsBlock | None = None,
            reply_headers: HeadersToSend | None = None,
            roles: Mapping[str, RoleBlock] | None = None,
            exchanges: Sequence[ExchangeBlock] | None = None,
            timeline: Sequence[TimelineBlock] | None = None,
            faults: Sequence[FaultBlock] | None = None,
            custom: Mapping[str, JSONInput] | None = None,
            cometreel: Literal[1] = 1,
        ) -> None:
            """Build a scenario from blocks; `custom` takes keys of your own, which start with `x-`.

            :raises FileInvalid: with all problems, at the position of the call. References between blocks are
                checked by `compiled`.
            """
    else:

        def __init__(self, /, **values: object) -> None:
            site = call_site()
            data, _ = arguments(site, values)
            try:
                super().__init__(**data)
            except ValidationError as error:
                raise invalid_call(site, findings_of(error)) from None
            self.place_at(site)

    @classmethod
    def load(cls, *paths: Path | str) -> Scenario:
        """Load files or folders and combine them into one scenario.

        A folder contributes its `*.yaml` and `*.yml` files in alphabetical order, without the proposals `*.new.yaml`.

        :raises FileInvalid: with every problem of every file. References between blocks are checked by `compiled`.
        """
        return cls._of(read_sources(paths))

    @classmethod
    def loads(cls, text: str | bytes) -> Scenario:
        """Load one scenario from YAML.

        :raises FileInvalid: with every problem. References between blocks are checked by `compiled`.
        """
        return cls._of([read_source(text, "<string>")], files=False)

    @classmethod
    def _of(cls, sources: Sequence[SourceFile], *, files: bool = True) -> Scenario:
        content, origin = merged(sources)
        construct: Callable[..., Scenario] = cls.model_construct  # the content was checked
        found = construct(_fields_set=set(content), **content)
        object.__setattr__(found, "_files", tuple(Path(each.document.file) for each in sources) if files else ())
        return found.place_at(origin)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the scenario was loaded from."""
        found: tuple[Path, ...] = getattr(self, "_files", ())
        return found

    def dump(self) -> str:
        """Format the scenario as YAML that loads to an equal scenario.

        Values from data files are written in the text, so that it needs no other file.
        """
        return "".join(dump_document(as_written(self)))

    def compiled(self) -> CompiledScenario:
        """Check the references between the blocks, and compile them.

        :raises FileInvalid: with every problem, at the position of its block.
        """
        return replace(link([source_of(self)]), files=self.files)


@dataclass(frozen=True, slots=True)
class _BlockDocument(Document):
    """A scenario as a document: its keys, and the positions of its blocks."""

    scenario: ScenarioBlock = field(kw_only=True)

    def position(self, path: Sequence[str | int], *, key: bool = False) -> FilePosition:
        """Return the position of a value, or of its key: that of the innermost block whose position is known."""
        origin, rest = self.scenario.origin, path
        here: object = self.scenario
        for number, step in enumerate(path):
            here = _child(here, step)
            if isinstance(here, Block) and here.origin is not None:
                origin, rest = here.origin, path[number + 1 :]
        return (self.file, 0, 0) if origin is None else origin.position(rest, key=key)


def _child(value: object, step: str | int) -> object:
    if isinstance(value, Block):
        names = {field.alias or name: name for name, field in type(value).model_fields.items()}
        return getattr(value, names[step]) if isinstance(step, str) and step in names else None
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return value.get(step) if isinstance(value, dict) else None


def source_of(scenario: ScenarioBlock) -> SourceFile:
    """Return a scenario as a source for `link`, which positions its problems at the blocks."""
    document = _BlockDocument("scenario", as_written(scenario), (0, 0), scenario=scenario)
    return SourceFile(
        document,
        scenario,
        list(enumerate(scenario.exchanges or ())),
        list(enumerate(scenario.timeline or ())),
        list(enumerate(scenario.faults or ())),
        [block.name for block in scenario.exchanges or ()],
    )
