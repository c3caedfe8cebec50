"""A form filled in: from what was given and, on a terminal, what is asked for field by field.

Owns the order, which fields are asked for, and what becomes of an answer that cannot be used. What can be used say the
core's own rules, so that a form here and one in a web page take the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

from modelhub.cli.problems import Complaint, show_complaints
from modelhub.cli.questions import Questions
from modelhub.cli.terminal import Terminal
from modelhub.cli.texts import _, label
from modelhub.credentials.references import ReferenceUnreadable, read_reference
from modelhub.rules.conditions import is_missing
from modelhub.rules.field_values import value_of
from modelhub.rules.forms import layered, problems
from modelhub.rules.shown import MODEL_TYPE, by_variable, decision_order, first_shown, offered
from modelhub.types.credential import CredentialValue
from modelhub.types.forms import FormField
from modelhub.types.json import JSON
from modelhub.types.schema import ModelType
from modelhub.types.secret import Secret

__all__ = ["Filled", "Filling"]

_PREFIXES = ("env:", "file:", "keyring:", "literal:")


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of a form.

    Attributes:
        values: The values that were given, by variable, each as its field's type has it; references as they are.
        complaints: What is wrong; empty where the values can be used.
    """

    values: Mapping[str, CredentialValue] = field(repr=False)
    complaints: Sequence[Complaint] = ()


@final
class Filling:
    """Fills in one form.

    Args:
        terminal: Where complaints are shown when somebody can answer them.
        form: The fields.
        questions: Who asks; ``None`` where nobody can be asked.
        kind: The type of the model that the form is for.
        folder: What relative paths in references start from.
        lenient: Whether references may lead to nothing here.
        below: What the values will stand over when they are used: it need not be given again.
        bound: Whether secrets of ``below`` belong to the server that they were given for.
    """

    def __init__(
        self,
        terminal: Terminal,
        form: Sequence[FormField],
        *,
        questions: Questions | None = None,
        kind: ModelType | None = None,
        folder: Path | None = None,
        lenient: bool = False,
        below: Mapping[str, object] | None = None,
        bound: bool = False,
    ) -> None:
        self._terminal = terminal
        self._form = form
        self._questions = questions
        self._kind = kind
        self._folder = folder
        self._lenient = lenient
        self._below = {name: self._standing(value, []) for name, value in (below or {}).items()}
        self._bound = bound

    def fill(self, given: Mapping[str, CredentialValue], kept: Mapping[str, CredentialValue] | None = None) -> Filled:
        """Fill the form in.

        Args:
            given: Values that are not asked for, as long as they can be used.
            kept: Values that it has already, which stay where nothing else is said.

        Raises:
            Abort: Whoever was asked has ended the input.
        """
        unknown = [
            Complaint.of(each) for each in problems(self._form, given) if each.code.startswith(("unknown", "no_"))
        ]
        unknown = [each for each in unknown if each.path.partition("[")[0] not in by_variable(self._form)]
        if unknown:
            return Filled({}, unknown)
        fields = by_variable(self._form)
        decided: dict[str, JSON] = {} if self._kind is None else {MODEL_TYPE: str(self._kind)}
        answers: dict[str, CredentialValue] = {}
        complaints: list[Complaint] = []
        for variable in decision_order(self._form):
            shown = first_shown(fields[variable], decided)
            if shown is None:
                continue
            answer, wrong = self._answer(shown, decided, answers, given, kept or {})
            complaints += wrong
            if not is_missing(_plain(answer)):
                answers[variable] = answer
            whole = self._whole({**answers, variable: answer})
            value = value_of(shown, whole.get(variable), offered(shown, decided), [])
            if value is not None:
                decided[variable] = value
        return Filled(answers, complaints)

    def _answer(
        self,
        field: FormField,
        decided: Mapping[str, JSON],
        answers: Mapping[str, CredentialValue],
        given: Mapping[str, CredentialValue],
        kept: Mapping[str, CredentialValue],
    ) -> tuple[CredentialValue, Sequence[Complaint]]:
        """Return the value of a field that is shown, asked for until it can be used, and what is wrong with it."""
        options = offered(field, decided)
        asks = self._questions
        asked = asks is not None and field.variable not in given
        while True:
            if asked and asks is not None:
                inherited = self._whole(answers).get(field.variable) is not None
                answer = asks.value(field, options, kept.get(field.variable), inherited=inherited)
            else:
                answer = given.get(field.variable, kept.get(field.variable))
            complaints = self._complaints(field, answer, answers)
            if asks is None or not complaints:
                break
            show_complaints(self._terminal, complaints)
            asked = True
        if complaints or isinstance(answer, Secret) or _refers(answer):
            return answer, complaints
        typed = value_of(replace(field, default=None, required=False), answer, options, [])
        return typed, ()

    def _complaints(
        self, field: FormField, answer: CredentialValue, answers: Mapping[str, CredentialValue]
    ) -> list[Complaint]:
        failures: list[str] = []
        self._standing(answer, failures)
        if failures:
            said = [Complaint(field.variable, "reference", each, label(field.label)) for each in failures]
            return [] if self._lenient else said
        whole = self._whole({**answers, field.variable: answer})
        found = problems(self._form, whole, model_type=self._kind)
        return [Complaint.of(each) for each in found if _variable(each.path, self._form) == field.variable]

    def _whole(self, answers: Mapping[str, CredentialValue]) -> dict[str, JSON]:
        """Return what the answers so far stand for, over what is below them."""
        values = {name: self._standing(each, []) for name, each in answers.items()}
        values = {name: value for name, value in values.items() if not is_missing(value)}
        return layered(self._form, self._below, values) if self._bound else {**self._below, **values}

    def _standing(self, value: object, failures: list[str]) -> JSON:
        """Return what a value stands for; ``None`` for one that leads to nothing."""
        if isinstance(value, Mapping):
            return {str(name): self._standing(item, failures) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._standing(item, failures) for item in value]
        if not isinstance(value, str | Secret):
            return value  # type: ignore[return-value]  # numbers and switches
        try:
            return read_reference(value.reveal() if isinstance(value, Secret) else value, folder=self._folder)
        except ReferenceUnreadable as error:
            failures.append(_("what it refers to cannot be read: {reason}").format(reason=error))
            return None

    def __repr__(self) -> str:
        return f"<Filling of {len(self._form)} fields{'' if self._questions else ', nobody asked'}>"


def _variable(path: str, form: Sequence[FormField]) -> str:
    """Return the variable that a path begins with."""
    variables = sorted({field.variable for field in form}, key=len, reverse=True)
    return next((each for each in variables if path == each or path.startswith((f"{each}.", f"{each}["))), path)


def _plain(value: CredentialValue) -> JSON:
    return value.reveal() if isinstance(value, Secret) else value  # type: ignore[return-value]  # only looked at


def _refers(value: CredentialValue) -> bool:
    """Whether a value, or one inside it, is written with a prefix that is read when the credential is used."""
    if isinstance(value, Mapping):
        return any(map(_refers, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_refers, value))
    return isinstance(value, str) and value.startswith(_PREFIXES)
