"""The command line's words in the user's language. English stands in the code; other languages are gettext catalogues.

A catalogue is ``locale/<language>/LC_MESSAGES/modelhub.po``, which translators edit, and its compiled ``.mo`` beside
it, which is what runs: plain files of the package, so wheels and editable installs need no step of their own. After a
change of the words::

    pybabel extract -k _ -k N_ -k n_:1,2 -o messages.pot src/modelhub/cli
    pybabel update --no-fuzzy-matching --omit-header -D modelhub -i messages.pot -d src/modelhub/cli/locale
    pybabel compile -D modelhub -d src/modelhub/cli/locale

Owns the choice of the language and nothing of what is said.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from modelhub.types.i18n import Labels, label_for

__all__ = ["LANGUAGES", "N_", "_", "label", "language", "locales", "n_", "translate_the_parser"]

LANGUAGES = ("en", "id")
_DOMAIN = "modelhub"
_FOLDER = Path(__file__).parent / "locale"


def locales(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield the locales that the user wants, best first, such as ``id_ID``; English at the end.

    ``MODELHUB_LANG`` goes before everything, then GNU gettext's order: ``LANGUAGE`` (several, by colons),
    ``LC_ALL``, ``LC_MESSAGES``, ``LANG``. ``LC_ALL=C`` is how scripts ask for English, and beats ``LANGUAGE``.
    """
    plain = environment.get("LC_ALL") in {"C", "POSIX"}
    for variable in ("MODELHUB_LANG", *(() if plain else ("LANGUAGE",)), "LC_ALL", "LC_MESSAGES", "LANG"):
        names = [name for name in environment.get(variable, "").split(":") if name]
        for name in names:
            locale = name.partition(".")[0].partition("@")[0].replace("-", "_")
            yield "en" if locale in {"C", "POSIX"} else locale
        if names and variable != "LANGUAGE":
            break
    yield "en"


def language() -> str:
    """Return the first of `LANGUAGES` that the user wants."""
    wanted = (locale.partition("_")[0].lower() for locale in locales())
    return next(name for name in wanted if name in LANGUAGES)


@cache
def _catalogue(name: str) -> gettext.NullTranslations:
    return gettext.translation(_DOMAIN, str(_FOLDER), languages=[name], fallback=True)


def _(message: str) -> str:
    """Return a message in the user's language."""
    return _catalogue(language()).gettext(message)


def n_(singular: str, plural: str, number: int) -> str:
    """Return the form of a message that fits a number, in the user's language."""
    return _catalogue(language()).ngettext(singular, plural, number)


def N_(message: str) -> str:  # noqa: N802  gettext's own word for it, which extraction tools look for
    """Mark a message for the catalogues that is translated only where it is shown."""
    return message


def label(labels: Labels | str | None, default: str = "") -> str:
    """Return a manifest's label in the user's language, which may be one that the command line does not speak."""
    if isinstance(labels, Mapping):
        return label_for(labels, list(locales())) or default
    return labels or default


def translate_the_parser() -> None:
    """Have typer's own words come from the same catalogues; it asks the process-wide gettext domain.

    That reads the environment by itself, without the rules above, so it is told the language that they gave.
    """
    os.environ["LANGUAGE"] = language()
    gettext.bindtextdomain(_DOMAIN, str(_FOLDER))
    gettext.textdomain(_DOMAIN)
