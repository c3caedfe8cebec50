"""What the users of a model that ends are told, and when."""

import datetime as dt

import pytest

from modelhub.rules.deprecation import deprecation_warning
from modelhub.types.schema import Deprecation, ModelSchema

TODAY = dt.date(2026, 11, 23)


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (ModelSchema("old", deprecated=True), "the model 'old' is deprecated"),
        (ModelSchema("old", deprecation=Deprecation()), "the model 'old' is deprecated"),
        (
            ModelSchema("old", deprecated=True, deprecation=Deprecation(dt.date(2026, 12, 3), "new")),
            "the model 'old' is deprecated and ends on 2026-12-03, in 10 days; use 'new'",
        ),
        (
            ModelSchema("old", deprecation=Deprecation(dt.date(2026, 11, 24))),
            "the model 'old' is deprecated and ends on 2026-11-24, in 1 day",
        ),
        (
            ModelSchema("old", deprecation=Deprecation(TODAY, "acme/new")),
            "the model 'old' was to end on 2026-11-23; use 'acme/new'",
        ),
    ],
)
def test_the_warning_says_when_it_ends_and_what_to_use(schema: ModelSchema, text: str) -> None:
    """As far as that is known."""
    warning = deprecation_warning(schema, TODAY)
    assert warning is not None
    assert (warning.code, warning.message) == ("model_deprecated", text)


def test_a_model_that_goes_on_has_no_warning() -> None:
    """Most do."""
    assert deprecation_warning(ModelSchema("new"), TODAY) is None
