"""Labels come in the reader's language, or in the nearest one there is; which one it was can be told."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelhub.types.i18n import Label, label_for, label_found


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        # one locale, however it is spelled
        ("en_US", ["en-US"], "en-US"),
        ("EN-us", ["en_US", "en"], "en_US"),
        ("id_ID.UTF-8", ["en_US", "id_ID"], "id_ID"),
        ("sr_RS@latin", ["en_US", "sr"], "sr"),
        # id-ID, id, any id-*, English, anything
        ("id-ID", ["en_US", "id_SG", "id", "id_ID"], "id_ID"),
        ("id-ID", ["en_US", "id_SG", "id"], "id"),
        ("id-ID", ["en_US", "id_SG"], "id_SG"),
        ("id-ID", ["ja_JP", "en_GB", "en_US"], "en_US"),
        ("id-ID", ["ja_JP", "en_GB", "en"], "en"),
        ("id-ID", ["ja_JP", "en_GB"], "en_GB"),
        ("id-ID", ["zh_Hans", "ja_JP"], "zh_Hans"),
        ("id-ID", [], None),
        ("en-GB", ["en_US", "en"], "en"),
        ("de-Latn-DE-1996", ["en_US", "de_AT", "de_DE"], "de_DE"),
        ("de-DE-u-co-phonebk", ["en_US", "de_AT", "de_DE"], "de_DE"),
        ("en-a-bbb-x-ccc", ["en_GB", "en"], "en"),
        ("in_ID", ["en_US", "id_ID"], "id_ID"),
        ("id", ["en_US", "in"], "in"),
        # scripts
        ("zh-Hans-CN", ["en_US", "zh", "zh_Hans"], "zh_Hans"),
        ("zh-Hans-CN", ["en_US", "zh_Hant", "zh"], "zh"),
        ("zh-CN", ["zh_Hant", "zh_Hans"], "zh_Hans"),
        ("zh", ["zh_Hant", "zh_Hans"], "zh_Hans"),
        ("zh-TW", ["zh_Hans", "zh_Hant"], "zh_Hant"),
        ("zh-HK", ["zh", "zh_TW"], "zh_TW"),
        ("zh-Hant", ["zh_CN", "zh_TW"], "zh_TW"),
        ("zh-TW", ["en_US", "zh_Hans"], "zh_Hans"),
        ("sr-Latn", ["sr", "sr_Latn_RS"], "sr_Latn_RS"),
        # several, as Accept-Language has them
        (["fr", "id-ID"], ["en_US", "id_ID"], "id_ID"),
        (["pt-BR", "es"], ["es", "pt_PT"], "pt_PT"),
        (["fr", "it"], ["ja_JP", "en_US"], "en_US"),
        (["*"], ["ja_JP", "en_US"], "en_US"),
        ([], ["ja_JP", "en_US"], "en_US"),
        # no languages at all
        ("", ["ja_JP", "en_US"], "en_US"),
        ("C", ["ca_ES", "en_US"], "en_US"),
        ("POSIX", ["en_US"], "en_US"),
        ("---", ["en_US"], "en_US"),
    ],
)
def test_the_locale_that_is_found(wanted: str | list[str], there: list[str], found: str | None) -> None:
    """RFC 4647 lookup, with scripts for Chinese and another region before another language."""
    assert label_found({name: f"text {name}" for name in there}, wanted) == (found and Label(f"text {found}", found))


def test_a_fallback_can_be_told_from_an_equal_text() -> None:
    """The same text comes with the locale that it was found under; a filled-in fallback would hide that."""
    same = {"en_US": "Server", "id_ID": "Server"}
    assert label_found(same, "id-ID") == Label("Server", "id_ID")
    assert label_found({"en_US": "Server"}, "id-ID") == Label("Server", "en_US")


def test_a_locale_that_other_hosts_drop_is_kept() -> None:
    """Any tag stands in a manifest, id_ID among them, and nothing is lost for it."""
    labels = {"en_US": "Key", "id_ID": "Kunci", "ban": "Konci", "zh_Hans": "密钥", "pt_BR": "Chave"}
    assert {name: label_for(labels, name) for name in labels} == labels


def test_a_plain_text_is_every_locales() -> None:
    """It has no locale of its own."""
    assert label_found("Key", "id") == Label("Key", None)
    assert label_for("Key") == "Key"


@pytest.mark.parametrize("empty", [None, "", "  ", {}, {"id": ""}, {"id": " ", "en_US": ""}, {"id": None}])
def test_an_empty_text_is_missing(empty: dict[str, str] | str | None) -> None:
    """It is never shown in place of a text."""
    assert label_for(empty, "id") is None
    both = {**empty, "ja_JP": "鍵"} if isinstance(empty, dict) else {"ja_JP": "鍵"}
    assert label_found(both, "id") == Label("鍵", "ja_JP")


TAGS = st.from_regex(r"[a-z]{2,3}([-_]([A-Z][a-z]{3}|[A-Z]{2}|x|u|[a-z0-9]{5}))*", fullmatch=True)


@given(st.dictionaries(TAGS | st.text(max_size=6), st.sampled_from(["", " ", "a", "b"]), max_size=5), TAGS | st.text())
def test_any_locale_finds_a_text_where_there_is_one(labels: dict[str, str], wanted: str) -> None:
    """Nothing is raised; an exact match wins; case and separator never matter."""
    found = label_found(labels, wanted)
    texts = {name: text for name, text in labels.items() if text.strip()}
    assert (found is None) is (not texts)
    if found is not None:
        assert texts[str(found.locale)] == found.text
        swapped = label_found(labels, wanted.replace("_", "-")) if wanted.isascii() else found
        assert swapped == found


@given(TAGS, st.lists(TAGS, max_size=4))
def test_the_locale_itself_goes_before_all_others(wanted: str, others: list[str]) -> None:
    """Wherever it stands in the mapping."""
    wanted = wanted.replace("_", "-").lower()
    labels = {**{other.replace("_", "-").lower(): "other" for other in others}, wanted: "own"}
    assert label_for(labels, wanted.upper()) == "own"


def test_it_is_cheap_to_import() -> None:
    """No library of locales, nor anything else of weight, is loaded for it."""
    code = "import sys, modelhub.types.i18n; print({'babel', 'gettext', 'pydantic'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
