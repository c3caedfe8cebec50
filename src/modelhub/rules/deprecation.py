"""What the users of a model that ends must be told."""

from __future__ import annotations

import datetime as dt

from modelhub.types.records import Warning
from modelhub.types.schema import ModelSchema

__all__ = ["deprecation_warning"]


def deprecation_warning(schema: ModelSchema, today: dt.date) -> Warning | None:
    """Return the warning for a call to a model that is deprecated, or ``None`` for one that is not.

    Args:
        schema: What is known of the model.
        today: The day of the call (UTC).
    """
    ends = schema.deprecation
    if ends is None:
        return _warning(f"the model {schema.model!r} is deprecated") if schema.deprecated else None
    text = f"the model {schema.model!r} is deprecated"
    if ends.date is not None and ends.date <= today:
        text = f"the model {schema.model!r} was to end on {ends.date.isoformat()}"
    elif ends.date is not None:
        days = (ends.date - today).days
        text += f" and ends on {ends.date.isoformat()}, in {days} {'day' if days == 1 else 'days'}"
    if ends.replacement:
        text += f"; use {ends.replacement!r}"
    return _warning(text)


def _warning(text: str) -> Warning:
    return Warning("model_deprecated", text)
