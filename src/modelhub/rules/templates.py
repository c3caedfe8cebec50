"""The templates that a parameter rule may name in ``use_template``, and what they fill in.

Owns labels, types and ranges that are right with every vendor, and which of the vendors' own names mean a neutral
parameter. It does not own what becomes of a value: that is `modelhub.rules.parameters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from modelhub.types.parameters import ParameterRule

__all__ = ["LEVELS", "MEANINGS", "TEMPLATES", "expanded", "meaning", "template_names"]

LEVELS = ("none", "minimal", "low", "medium", "high", "max")
"""The levels of ``reasoning``, in order."""


def _template(name: str, english: tuple[str, str], indonesian: tuple[str, str], **values: Any) -> ParameterRule:
    label, text = ({"en_US": each, "id_ID": other} for each, other in zip(english, indonesian, strict=True))
    return ParameterRule(name, label=label, help=text, **values)


# Dify's templates differ in these ranges. Temperature ends there at 1: most vendors go to 2. Both penalties begin
# there at 0 and end at 1: their inventor's API and those that follow it take -2 to 2. Top K begins there at 1 and
# ends at 100: 0 is the common word for "all", and no vendor ends there. ``max_tokens`` is there 64 by default and 2048
# at most: models of today write 128 thousand. Defaults are left to the vendors, who have others than Dify. Top P has
# two decimals there: 0.001 and 0.999 are in use. A rule's own keys go before all of these, in Dify's YAML too.
TEMPLATES: Mapping[str, ParameterRule] = MappingProxyType(
    {
        rule.name: rule
        for rule in (
            _template(
                "temperature",
                ("Temperature", "Randomness of the answer; 0 always takes the likeliest token."),
                ("Temperatur", "Keacakan jawaban; 0 selalu memilih token yang paling mungkin."),
                type="float",
                min=0,
                max=2,
                precision=2,
            ),
            _template(
                "top_p",
                ("Top P", "Sample from the likeliest tokens that together have this probability."),
                ("Top P", "Ambil dari token paling mungkin yang jumlah peluangnya mencapai nilai ini."),
                type="float",
                min=0,
                max=1,
                precision=4,
            ),
            _template(
                "top_k",
                ("Top K", "Sample from this many of the likeliest tokens; 0 for all."),
                ("Top K", "Ambil dari sekian token paling mungkin; 0 untuk semua."),
                type="int",
                min=0,
            ),
            _template(
                "min_p",
                ("Min P", "Leave out tokens less likely than this share of the likeliest one."),
                ("Min P", "Abaikan token yang peluangnya kurang dari bagian ini terhadap token paling mungkin."),
                type="float",
                min=0,
                max=1,
                precision=4,
            ),
            _template(
                "presence_penalty",
                ("Presence penalty", "Above 0 against tokens that occurred before, below 0 for them."),
                ("Penalti kemunculan", "Di atas 0 menghindari token yang sudah muncul, di bawah 0 menyukainya."),
                type="float",
                min=-2,
                max=2,
                precision=2,
            ),
            _template(
                "frequency_penalty",
                ("Frequency penalty", "Above 0 against tokens by how often they occurred before, below 0 for them."),
                ("Penalti frekuensi", "Di atas 0 menghindari token menurut seringnya muncul, di bawah 0 menyukainya."),
                type="float",
                min=-2,
                max=2,
                precision=2,
            ),
            _template(
                "repeat_penalty",
                ("Repeat penalty", "Above 1 against repetition, below 1 for it."),
                ("Penalti pengulangan", "Di atas 1 menghindari pengulangan, di bawah 1 menyukainya."),
                type="float",
                min=0,
                precision=2,
            ),
            _template(
                "max_tokens",
                ("Maximum tokens", "Tokens to generate at most."),
                ("Token maksimum", "Jumlah token yang dihasilkan paling banyak."),
                type="int",
                min=1,
            ),
            _template(
                "stop",
                ("Stop texts", "Texts that end the answer."),
                ("Teks penghenti", "Teks yang mengakhiri jawaban."),
                type="array",
            ),
            _template(
                "seed",
                ("Seed", "The same seed gives the same answer to the same question, where the vendor can."),
                ("Seed", "Seed yang sama memberi jawaban yang sama untuk pertanyaan yang sama, bila vendor mampu."),
                type="int",
            ),
            _template(
                "logprobs",
                ("Token probabilities", "Give the probability of each token."),
                ("Peluang token", "Sertakan peluang setiap token."),
                type="boolean",
            ),
            _template(
                "top_logprobs",
                ("Likeliest tokens", "How many of the likeliest tokens to give at each place."),
                ("Token paling mungkin", "Jumlah token paling mungkin yang disertakan di setiap posisi."),
                type="int",
                min=0,
                max=20,
            ),
            _template(
                "parallel_tool_calls",
                ("Parallel tool calls", "Whether several tools may be called at once."),
                ("Panggilan alat paralel", "Apakah beberapa alat boleh dipanggil sekaligus."),
                type="boolean",
            ),
            _template(
                "user",
                ("End user", "Your own id of the end user, for the vendor's abuse detection."),
                ("Pengguna akhir", "Id pengguna akhir milik Anda, untuk deteksi penyalahgunaan oleh vendor."),
                type="string",
            ),
            # It has no type: a rule with none takes both a switch and a level, as they are.
            _template(
                "reasoning",
                ("Reasoning", "Whether the model thinks first, and how hard."),
                ("Penalaran", "Apakah model berpikir dahulu, dan seberapa keras."),
                options=LEVELS,
            ),
            _template(
                "enable_thinking",
                ("Reasoning", "Whether the model thinks first."),
                ("Penalaran", "Apakah model berpikir dahulu."),
                type="boolean",
            ),
            _template(
                "reasoning_effort",
                ("Reasoning effort", "How hard the model thinks first."),
                ("Upaya penalaran", "Seberapa keras model berpikir dahulu."),
                type="string",
                options=("low", "medium", "high"),
            ),
            _template(
                "thinking_budget",
                ("Reasoning budget", "Tokens to think with at most."),
                ("Anggaran penalaran", "Jumlah token untuk berpikir paling banyak."),
                type="int",
                min=0,
            ),
            _template(
                "response_format",
                ("Response format", "The shape that the answer must have."),
                ("Format jawaban", "Bentuk yang harus dimiliki jawaban."),
                type="string",
                options=("JSON", "XML"),
            ),
            _template(
                "json_schema",
                ("JSON Schema", "The JSON Schema that the answer must have."),
                ("Skema JSON", "Skema JSON yang harus dipenuhi jawaban."),
                type="text",
            ),
        )
    }
)
"""The templates by name. None of them has a default: what is left out is the vendor's to say."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "enable_thinking": "reasoning",
        "reasoning_budget": "reasoning",
        "reasoning_effort": "reasoning",
        "reasoning_type": "reasoning",
        "thinking": "reasoning",
        "thinking_budget": "reasoning",
        "thinking_level": "reasoning",
        "thinking_mode": "reasoning",
        "max_completion_tokens": "max_tokens",
        "max_output_tokens": "max_tokens",
        "max_new_tokens": "max_tokens",
        "random_seed": "seed",
        "repetition_penalty": "repeat_penalty",
        "stop_sequences": "stop",
    }
)
"""Which neutral parameter a name in wide use means, so that catalogues need not say it."""

_NUMBERS = {"int", "float"}
_WORDS = {None, "string", "text", "array"}


def template_names() -> tuple[str, ...]:
    """Return the names that ``use_template`` may have."""
    return tuple(TEMPLATES)


def meaning(rule: ParameterRule) -> str:
    """Return the neutral parameter that a rule is for; its own name where it is for none."""
    return MEANINGS.get(rule.neutral, rule.neutral)


def expanded(rule: ParameterRule) -> ParameterRule:
    """Fill in what a rule leaves out, from the template that it names.

    The rule's own keys go before the template's, and so does what they imply: a template's range is not given to a
    rule of another type, and a bound that contradicts one of the rule's own is left out. 0, ``false`` and an empty
    default are values.

    Returns:
        The whole rule; the same object where it names no template, or one that does not exist.
    """
    template = TEMPLATES.get(rule.use_template or "")
    if template is None:
        return rule
    kind = rule.type or template.type
    if rule.type is None and kind in _NUMBERS and not all(_numeric(option) for option in rule.options):
        kind = "string"
    filled: dict[str, Any] = {
        "type": kind,
        "label": rule.label or template.label,
        "help": template.help if rule.help is None else rule.help,
    }
    if kind in _NUMBERS and template.type in _NUMBERS:
        filled["min"], filled["max"] = _bounds(rule, template)
        if rule.precision is None and kind == "float":
            filled["precision"] = template.precision
    if not rule.options and not rule.values and kind in _WORDS:
        filled["options"] = template.options
    return replace(rule, **filled)


def _numeric(option: str) -> bool:
    try:
        float(option)
    except ValueError:
        return False
    return True


def _bounds(rule: ParameterRule, template: ParameterRule) -> tuple[float | None, float | None]:
    least, most = rule.min, rule.max
    if least is None and (most is None or template.min is None or template.min <= most):
        least = template.min
    if most is None and (rule.min is None or template.max is None or template.max >= rule.min):
        most = template.max
    return least, most
