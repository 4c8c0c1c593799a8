"""The plan of a document: its steps in an order in which each comes behind what it needs, and nothing wrong in it."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from nexus.kernel.pipelines import parameters, room
from nexus.kernel.pipelines.words import references
from nexus.kernel.store.rows import name_key
from nexus.schemas.errors import ValidationError
from nexus.schemas.errors.error import clipped
from nexus.schemas.pipeline import PipelineDocument, StepDefinition

OURS = "NEXUS_"
"""What begins the names of variables that the kernel sets, and a step does not."""


class Plan:
    """The steps of a document, ordered. `waves` has those that may run at once; `order` has the waves one by one.

    Raises `ValidationError` for a document in which something is wrong; its `field` is the place, as
    `steps.load.needs`.
    """

    def __init__(self, document: PipelineDocument) -> None:
        self._steps = document.steps
        self._refuse_unknown()
        self.waves = waves_of(document)
        self.order = [name for wave in self.waves for name in wave]
        parameters.check(document)
        for name, step in document.steps.items():
            _check_step(document, name, step)
        _refuse_same_artifacts(document)
        room.check(document)

    def needs(self, step: str) -> Sequence[str]:
        """Return the steps that one waits for, each once. Raises KeyError for a step that is not there."""
        return list(dict.fromkeys(self._steps[step].needs))

    def behind(self, step: str) -> set[str]:
        """Return all the steps that need one, or need one that does. Raises KeyError for a step that is not there."""
        found: set[str] = set()
        left = [step]
        while left:
            for follower in self._followers[left.pop()]:
                if follower not in found:
                    found.add(follower)
                    left.append(follower)
        return found

    @cached_property
    def _followers(self) -> dict[str, list[str]]:
        followers: dict[str, list[str]] = {name: [] for name in self._steps}
        for name in self._steps:
            for needed in self.needs(name):
                followers[needed].append(name)
        return followers

    def _refuse_unknown(self) -> None:
        for name, step in self._steps.items():
            for needed in step.needs:
                if needed not in self._steps:
                    raise _unknown("step", needed, self._steps, f"steps.{name}.needs", f"The step {name} needs")


def waves_of(document: PipelineDocument) -> list[list[str]]:
    """Return the steps, those that may run at once together, in the document's order where their needs leave it open.

    Raises `ValidationError` for steps that need each other.
    """
    places = {name: place for place, name in enumerate(document.steps)}
    sorter = TopologicalSorter({name: step.needs for name, step in document.steps.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        # It is told from what is needed to what needs it; people read it the other way round.
        raise _circle(error.args[1][::-1]) from None
    waves = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=places.__getitem__)
        sorter.done(*ready)
        waves.append(ready)
    return waves


def _circle(cycle: list[str]) -> ValidationError:
    return ValidationError.because(
        f"The steps need each other in a circle: {clipped(' needs '.join(cycle))}.",
        field=f"steps.{cycle[0]}.needs",
        cycle=cycle,
        hint="Take one of these out of the needs of the step that names it.",
    )


def secrets_of(document: PipelineDocument) -> list[str]:
    """Return the secrets that the steps name, sorted, each once."""
    return sorted({name for step in document.steps.values() for name in step.secrets})


def _refuse_same_artifacts(document: PipelineDocument) -> None:
    """Of one run two artifacts that read alike would not be told apart."""
    made_by: dict[str, str] = {}
    for name, step in document.steps.items():
        for artifact in step.artifacts:
            key = name_key(artifact)
            if key in made_by:
                raise ValidationError.because(
                    f"The artifact {artifact!r} of the step {name} is called as one of the step {made_by[key]}.",
                    field=f"steps.{name}.artifacts.{artifact}",
                    hint="Give one of them another name.",
                )
            made_by[key] = name


def _check_step(document: PipelineDocument, name: str, step: StepDefinition) -> None:
    place = f"steps.{name}"
    for dataset in step.datasets:
        if dataset not in document.datasets:
            begin = f"The step {name} reads"
            raise _unknown("data set", dataset, document.datasets, f"{place}.datasets", begin)
    for variable in step.environment:
        if variable.startswith(OURS):
            raise ValidationError.because(
                f"{variable} is set by the kernel.",
                field=f"{place}.environment.{variable}",
                hint="Give the variable another name.",
            )
        # A secret comes as a variable, and the file that holds it as another.
        if variable in step.secrets or variable.removesuffix("_FILE") in step.secrets:
            raise ValidationError.because(
                f"{variable} is a secret of the step {name}, and a variable too.",
                field=f"{place}.environment.{variable}",
                hint="Take it out of environment, or out of secrets.",
            )
    if not step.run[0]:
        raise ValidationError.because(
            f"The step {name} names no program.",
            field=f"{place}.run",
            hint="The first word of run is a program: a name on the PATH, or a path.",
        )
    for number, word in enumerate(step.run):
        _check_text(document, step, word, f"{place}.run.{number}")
    for variable, text in step.environment.items():
        _check_text(document, step, text, f"{place}.environment.{variable}")


def _check_text(document: PipelineDocument, step: StepDefinition, text: str, field: str) -> None:
    try:
        found = references(text)
    except ValidationError as error:
        raise ValidationError.because(str(error), field=field, hint=error.own_hint) from None
    for reference in found:
        _check_reference(document, step, reference, field)


def _check_reference(document: PipelineDocument, step: StepDefinition, reference: str, field: str) -> None:
    kind, _, name = reference.partition(".")
    match kind:
        case "parameters" if name not in document.parameters:
            raise _unknown("parameter", name, document.parameters, field, f"{field} has")
        case "datasets" if name not in step.datasets:
            hint = None if name not in document.datasets else f"Add {name} to the datasets of the step."
            raise _unknown("data set of the step", name, step.datasets, field, f"{field} has", hint)
        case "inputs" if name not in step.needs:
            hint = None if name not in document.steps else f"Add {name} to the needs of the step."
            raise _unknown("step that it needs", name, step.needs, field, f"{field} has", hint)
        case "project" if document.project is None:
            raise ValidationError.because(
                f"{field} has ${{project}}, and the pipeline has no project.",
                field=field,
                hint="Add project to the pipeline: its id or its name.",
            )
        case _:
            pass


def _unknown(
    kind: str, name: str, known: Iterable[str], field: str, begin: str, hint: str | None = None
) -> ValidationError:
    names = list(known)
    near = get_close_matches(name, names)
    told = hint or (f"Did you mean {near[0]}?" if near else "Name one of those that are available.")
    return ValidationError.because(
        f"{begin} {name!r}, and there is no such {kind}.",
        field=field,
        suggestions=near,
        available=names[:100],
        hint=told if names or hint else "There is none: add it to the pipeline, or take the name out.",
    )
