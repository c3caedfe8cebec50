"""What is wrong with a field of a form: where, which kind of mistake, and how to say it in the reader's language.

Owns the kinds and their sentences; the checks themselves are in `modelhub.rules`. No value ever stands in a problem:
any of them may be a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from modelhub.types.i18n import Labels, label_for
from modelhub.types.json import JSON

__all__ = ["SENTENCES", "FieldProblem"]

SENTENCES: Mapping[str, Labels] = MappingProxyType(
    {
        "required": {"en": "it is required", "id": "wajib diisi"},
        "unknown": {"en": "fields: {names}", "id": "isian yang ada: {names}"},
        "unknown_near": {"en": "did you mean {names}?", "id": "apakah maksud Anda {names}?"},
        "unknown_key": {
            "en": "an unknown key of {limit} characters; it may be a value in the place of a name",
            "id": "kunci tak dikenal sepanjang {limit} karakter; mungkin nilai yang terisi di tempat nama",
        },
        "no_fields": {"en": "there are no fields", "id": "tidak ada isian"},
        "not_text": {"en": "it must be a text, not {found}", "id": "harus berupa teks, bukan {found}"},
        "blank_control": {
            "en": "it has a line break or another control character in it",
            "id": "mengandung baris baru atau karakter kontrol lain",
        },
        "control": {"en": "it has a control character in it", "id": "mengandung karakter kontrol"},
        "too_long": {
            "en": "it must have {limit} characters or fewer",
            "id": "paling banyak {limit} karakter",
        },
        "not_switch": {"en": "it must be true or false", "id": "harus true atau false"},
        "not_number": {"en": "it must be a number", "id": "harus berupa angka"},
        "not_finite": {"en": "it must be a finite number", "id": "harus berupa angka berhingga"},
        "too_small": {"en": "it must be {limit} or more", "id": "harus {limit} atau lebih"},
        "too_large": {"en": "it must be {limit} or less", "id": "harus {limit} atau kurang"},
        "not_option": {"en": "it must be one of {names}", "id": "harus salah satu dari {names}"},
        "no_option": {"en": "it has nothing to choose from here", "id": "tidak ada pilihan di sini"},
        "not_list": {"en": "it must be a list of texts", "id": "harus berupa daftar teks"},
        "not_url": {
            "en": "it must be a URL that begins with http:// or https:// and has no blank in it",
            "id": "harus URL yang diawali http:// atau https:// dan tanpa spasi",
        },
        "url_password": {
            "en": "it has a user name or password in it; put them in a header or the key's own field",
            "id": "mengandung nama pengguna atau kata sandi; isikan di header atau isian kuncinya sendiri",
        },
        "not_endpoint": {
            "en": "it is not a base URL: {why} (give it as http://host:port)",
            "id": "bukan URL dasar: {why} (contoh: http://host:port)",
        },
        "not_json": {
            "en": "it must be JSON: an object, a list, a number, true or false",
            "id": "harus JSON: objek, daftar, angka, true, atau false",
        },
        "too_deep": {"en": "it is nested more than {limit} deep", "id": "bersarang lebih dari {limit} tingkat"},
        "not_json_object": {"en": "it is no JSON object", "id": "bukan objek JSON"},
        "not_pairs": {"en": "it must be names with texts", "id": "harus berupa nama dengan teks"},
        "not_lines": {"en": "each line must be name: value", "id": "setiap baris harus nama: nilai"},
        "not_name": {
            "en": "a name can only have letters, digits and !#$%&'*+-.^_`|~ in it",
            "id": "nama hanya boleh berisi huruf, angka, dan !#$%&'*+-.^_`|~",
        },
        "not_header": {
            "en": "it can only have characters of Latin-1 in it, and no line break",
            "id": "hanya boleh berisi karakter Latin-1, tanpa baris baru",
        },
        "twice": {"en": "it is there twice", "id": "ada dua kali"},
    }
)
"""The kinds of mistakes with their sentences. A kind keeps its name and meaning; the sentences may get better."""

_OR: Labels = {"en": " or ", "id": " atau "}
_MORE = 10
"""As many names as a line holds."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One complaint about a form.

    Attributes:
        path: The field's variable, and where in its value: ``models[2]``, ``headers.X-Team``.
        code: The kind of mistake, a key of `SENTENCES`.
        params: What the sentence names: ``limit``, ``names``, ``found``, ``why``.
        labels: The field's label.
    """

    path: str
    code: str
    params: Mapping[str, JSON] = field(default_factory=dict)
    labels: Labels | str = ""

    @property
    def message(self) -> str:
        """The sentence in English."""
        return self.text("en")

    def text(self, locale: str | Sequence[str] = "en") -> str:
        """Return the sentence in English or Indonesian, without the field's name.

        Args:
            locale: The locale wanted, or several, best first.
        """
        said = {name: self._said(value, locale) for name, value in self.params.items()}
        return (label_for(SENTENCES[self.code], locale) or "").format_map(said)

    def label(self, locale: str | Sequence[str] = "en_US") -> str:
        """Return the field's label in a locale; its path where it has none."""
        return label_for(self.labels, locale) or self.path

    def _said(self, value: JSON, locale: str | Sequence[str]) -> str:
        if isinstance(value, Mapping):
            return label_for({key: str(text) for key, text in value.items()}, locale) or ""
        if not isinstance(value, Sequence) or isinstance(value, str):
            return str(value)
        names = [str(name) for name in value]
        if self.code == "unknown_near":
            return (label_for(_OR, locale) or "").join(repr(name) for name in names)
        return ", ".join(names[:_MORE]) + (", …" if len(names) > _MORE else "")
