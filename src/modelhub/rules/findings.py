"""What is found while a call's parameters are checked: what is wrong with it, and what is changed in it.

Owns the policies and how several complaints become one error. It does not own the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias, final

from modelhub.errors import BadRequest, UnsupportedFeature
from modelhub.rules.names import did_you_mean
from modelhub.rules.values import is_finite, shown
from modelhub.types.json import JSON
from modelhub.types.records import ParameterProblem, Warning

__all__ = ["LEFT_OUT", "Findings", "Policy", "joined"]

Policy: TypeAlias = Literal["strict", "clamp", "drop"]
"""What becomes of a parameter that a model does not take so.

``strict``: an error. ``clamp``: the nearest value that it takes, or left out where there is none. ``drop``: left out.
Never silence: the result's warnings hold what was changed."""

LEFT_OUT: Final = object()
"""In place of a value that is not sent."""


_LEFT_OUT = "; it was left out"


@final
class Findings:
    """Collects, so that a caller hears of everything at once.

    Attributes:
        policy: What becomes of a parameter that a model does not take so.
        problems: What is wrong.
        warnings: What was changed.
    """

    __slots__ = ("policy", "problems", "warnings")

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.problems: list[BadRequest] = []
        self.warnings: list[Warning] = []

    def changed(self, code: str, name: str, given: JSON, sent: JSON, how: str) -> JSON:
        """Write down a change, and return what is sent."""
        message = f"{name}: {shown(given)} {how} {shown(sent)}"
        self.warnings.append(Warning(code, message, name, given=_kept(given), sent=sent))
        return sent

    def left_out(self, code: str, error: BadRequest, given: JSON) -> object:
        """Leave a parameter out, or complain, as the policy says.

        Raises:
            BadRequest: The policy is strict.
        """
        if self.policy == "strict":
            raise error
        self.warnings.append(Warning(code, f"{error.message}{_LEFT_OUT}", error.parameter, given=_kept(given)))
        return LEFT_OUT

    def stood_in(self, name: str, default: JSON) -> None:
        """Say of a parameter that was left out that its default is sent instead."""
        for number, each in enumerate(self.warnings):
            if each.parameter == name and each.message.endswith(_LEFT_OUT):
                message = f"{each.message.removesuffix(_LEFT_OUT)}; its default {shown(default)} is sent instead"
                self.warnings[number] = replace(each, message=message, sent=default)

    def forgotten(self, name: str, value: JSON) -> JSON:
        """Take back what was said of changes to a parameter that is not sent after all.

        Returns:
            The value as it was given; ``value`` where nothing was changed.
        """
        given = [each.given for each in self.warnings if each.parameter == name]
        self.warnings = [each for each in self.warnings if each.parameter != name]
        return given[0] if given else value

    def unsupported(self, text: str, name: str, given: JSON, known: Sequence[str]) -> object:
        """Leave out what the model has nothing like, or complain with the nearest names.

        Raises:
            UnsupportedFeature: The policy is strict.
        """
        remedy = did_you_mean(name, known, what="parameters") if known else "choose another model, or leave it out"
        return self.left_out("parameter_unsupported", UnsupportedFeature(text, parameter=name, remedy=remedy), given)

    def settle(self) -> tuple[Warning, ...]:
        """Return what was changed.

        Raises:
            BadRequest: Something is wrong.
        """
        if self.problems:
            raise joined(self.problems)
        return tuple(self.warnings)

    def __repr__(self) -> str:
        return f"<Findings {self.policy}: {len(self.problems)} problems, {len(self.warnings)} changes>"


def joined(errors: Sequence[BadRequest]) -> BadRequest:
    """Make one error of several; its ``parameter`` is the first one's, and ``problems`` has them all.

    It is an `UnsupportedFeature`, which another model may not have, where all of them are.
    """
    problems = tuple(ParameterProblem(each.parameter or "", each.message, each.remedy) for each in errors)
    if len(errors) == 1:
        errors[0].problems = problems
        return errors[0]
    cls = UnsupportedFeature if all(isinstance(each, UnsupportedFeature) for each in errors) else BadRequest
    message = f"{len(errors)} things cannot be sent: {'; '.join(each.message for each in errors)}"
    remedies = (f"{each.parameter}: {each.remedy}" for each in errors if each.remedy)
    error = cls(message, parameter=errors[0].parameter, remedy="; ".join(remedies) or None)
    error.problems = problems
    return error


def _kept(value: JSON) -> JSON:
    """Return a value as a record may hold it: numbers that nothing can write are told in words."""
    return value if not isinstance(value, int) or is_finite(value) else shown(value)
