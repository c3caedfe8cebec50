"""Manifests and models in Dify's format are read as they are; what is wrong in them is told and costs the least.

The corpus in ``tests/fixtures/dify`` is of our own making: ``full`` has every field in the layout of Dify's plugins,
``ours`` every key of ours, ``loose`` every value that is written as another type than it is, ``broken`` every defect,
and ``seed`` those of a tutorial that many have copied.
"""

import datetime as dt
import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from modelhub.errors import PluginError
from modelhub.manifest.reading import Manifest, read_manifest, read_models
from modelhub.manifest.shapes import schema_from
from modelhub.types.forms import Condition, EndpointRule, FormField, FormOption
from modelhub.types.pricing import PricePeriod, PriceTier, Pricing
from modelhub.types.schema import Deprecation, ModelSchema, ModelType, ProviderSchema

CORPUS = Path(__file__).parents[1] / "fixtures" / "dify"


@pytest.fixture(scope="module")
def full() -> Manifest:
    """The manifest with every field of Dify's."""
    return read_manifest(CORPUS / "full")


@pytest.fixture(scope="module")
def loose() -> Manifest:
    """The manifest whose values are of other types than they are written as."""
    return read_manifest(CORPUS / "loose")


def models_of(manifest: Manifest) -> dict[str, ModelSchema]:
    """Return a manifest's models by name."""
    return {name: schema for (_, name), schema in read_models(manifest)[0].items()}


def field_of(manifest: Manifest, variable: str) -> FormField:
    """Return the first field of a variable."""
    return next(field for field in manifest.schema.form if field.variable == variable)


def test_a_plugin_in_difys_layout_is_read_without_a_notice(full: Manifest) -> None:
    """Its manifest lies in ``provider/``, its models in ``models/``, and all of it is understood."""
    assert full.name == "provider/kelana.yaml"
    assert full.folder == CORPUS / "full"
    assert full.notices == ()
    assert read_models(full)[1] == ()


def test_every_field_of_a_provider_is_kept(full: Manifest) -> None:
    """With labels in every language, Indonesian too."""
    schema = full.schema
    assert (schema.provider, schema.provider_name, schema.background) == ("kelana", "kl", "#F0F4FF")
    assert schema.label == {"en_US": "Kelana", "id_ID": "Kelana Nusantara", "zh_Hans": "漫游"}
    assert schema.description == {
        "en_US": "Models for every kind of request",
        "id_ID": "Model untuk segala jenis permintaan",
    }
    icons = (schema.icon_small, schema.icon_large, schema.icon_small_dark, schema.icon_large_dark)
    assert icons == ({"en_US": "icon.svg"},) * 4
    assert schema.help is not None
    assert schema.help.url == {"en_US": "https://kelana.example/keys"}
    assert schema.supported_model_types == list(ModelType)
    assert schema.configurate_methods == ["predefined-model", "customizable-model"]
    assert schema.extra["python"] == {
        "provider_source": "provider/kelana.py",
        "model_sources": ["models/llm/llm.py"],
    }
    assert schema.contract == 1


def test_every_kind_of_field_of_a_form_is_kept(full: Manifest) -> None:
    """The five types, with their defaults, options, helps and conditions."""
    assert [field.type for field in full.schema.form] == ["secret-input", "text-input", "select", "radio", "switch"]
    key = field_of(full, "api_key")
    assert (key.required, key.max_length, key.secret) == (True, 128, True)
    assert (key.help, key.url) == ({"en_US": "It begins with kl-"}, {"en_US": "https://kelana.example/keys"})
    assert field_of(full, "region").options[1] == FormOption("sby", {"en_US": "Surabaya"}, [Condition("plan", "paid")])
    assert field_of(full, "trace").default is False
    assert full.schema.model_credential_schema is not None
    assert full.schema.model_credential_schema.model.placeholder == {"en_US": "As the server names it"}
    fields = full.schema.model_credential_schema.credential_form_schemas
    assert [(field.variable, field.default, field.show_on) for field in fields[:2]] == [
        ("context_size", "4096", [Condition("__model_type", "llm")]),
        ("context_size", "512", [Condition("__model_type", "text-embedding")]),
    ]


def test_models_stand_in_the_order_of_their_positions(full: Manifest) -> None:
    """By type; then as the file or the list has them; those that it does not name come after it, by name."""
    assert [(kind.value, name) for kind, name in read_models(full)[0]] == [
        ("llm", "kelana-large"),
        ("llm", "kelana-old"),
        ("llm", "kelana-plain"),
        ("text-embedding", "kelana-embed-small"),
        ("text-embedding", "kelana-embed"),
        ("rerank", "kelana/rerank:2"),
        ("speech2text", "kelana-hear"),
        ("tts", "kelana-speak"),
        ("moderation", "kelana-guard"),
    ]


def test_every_field_of_a_model_is_kept(full: Manifest) -> None:
    """Features, properties and rules; what a rule names a template for is filled in, and its own keys go before."""
    large = models_of(full)["kelana-large"]
    assert large.label == {"en_US": "Kelana Large", "id_ID": "Kelana Besar"}
    assert large.features is not None
    assert len(large.features) == 10
    assert (large.context_size, large.model_properties["mode"], large.deprecated) == (200_000, "chat", False)
    assert large.pricing == Pricing(Decimal("3.00"), Decimal("15.00"))
    rules = {rule.name: rule for rule in large.parameter_rules or ()}
    assert len(rules) == 11
    temperature = rules["temperature"]
    assert (temperature.type, temperature.default, temperature.min, temperature.max, temperature.precision) == (
        "float",
        0,
        0,
        1.5,
        1,
    )
    assert (rules["top_p"].type, rules["top_p"].max) == ("float", 1)
    assert (rules["presence_penalty"].min, rules["presence_penalty"].max) == (-2, 2)
    tokens = rules["answer_tokens"]
    assert (tokens.neutral, tokens.required, tokens.default, tokens.max) == ("max_tokens", True, 1024, 64_000)
    assert rules["web_search"].default is False
    assert rules["search_depth"].show_on == [Condition("web_search", "true")]
    assert rules["json_schema"].type == "text"


def test_properties_of_every_type_are_kept(full: Manifest) -> None:
    """Voices with their languages, limits as numbers."""
    models = models_of(full)
    assert models["kelana-speak"].model_properties["voices"] == [
        {"mode": "ratna", "name": "Ratna", "language": ["id-ID", "en-US"]},
        {"mode": "bima", "name": "Bima", "language": ["id-ID"]},
    ]
    assert models["kelana-speak"].model_properties["max_workers"] == 4
    assert models["kelana-hear"].model_properties == {
        "file_upload_limit": 25,
        "supported_file_extensions": "flac,mp3,wav",
    }
    assert models["kelana-guard"].model_properties == {"max_chunks": 32, "max_characters_per_chunk": 2000}
    assert models["kelana-embed"].pricing == Pricing(Decimal("0.00002"), unit=Decimal("0.001"))


def test_a_rule_for_a_schema_implies_the_feature_where_none_are_listed(full: Manifest) -> None:
    """A list, even an empty one, is the last word."""
    models = models_of(full)
    assert models["kelana-plain"].features == ["structured-output"]
    assert models["kelana-old"].features == []


def test_no_price_is_unknown_and_not_nothing(full: Manifest) -> None:
    """As of the many models that have none."""
    assert models_of(full)["kelana-plain"].pricing is None
    assert models_of(full)["kelana-hear"].pricing is None


def test_every_key_of_ours_is_read_without_a_notice() -> None:
    """Forms with all kinds of fields and conditions, operations, limits, families, defaults, overlays of prices."""
    manifest = read_manifest(CORPUS / "ours" / "kelana")
    models, notices = read_models(manifest)
    assert (manifest.name, manifest.notices, notices) == ("provider.yaml", (), ())
    schema = manifest.schema
    assert field_of(manifest, "base_url").endpoint == EndpointRule("http", 8080, ["/v1"])
    assert field_of(manifest, "extra_body").default == {"a": [1, 2]}
    assert field_of(manifest, "zones").default == ["a"]
    assert field_of(manifest, "zones").show_on == [
        Condition(any=[Condition("seats", in_=[2, 3]), Condition(not_=Condition("notes", exists=True))]),
        Condition(all=[Condition("base_url", exists=True)]),
    ]
    assert schema.operations["pull"].arguments == ["model"]
    assert schema.timeouts == {"connect": 2, "first_token": 600, "idle": 30.5}
    assert (schema.limits, schema.probe) == ({"concurrency": 4, "rpm": 600, "tpm": 90000.5}, "/health")
    assert schema.providers == [{"provider": "kelana_east", "label": "East", "preset": {"seats": 3}}]
    coming = models[ModelType.LLM, "kelana-next"]
    assert coming.deprecation == Deprecation(
        dt.date(2027, 6, 30), "kelana-later", {"en_US": "Its successor is cheaper"}
    )
    assert coming.pricing is not None
    assert coming.pricing.input == Decimal("1.10")
    assert coming.pricing.tiers == [PriceTier(Decimal("2.20"), Decimal("8.80"), above=128_000)]
    assert coming.pricing.periods == [
        PricePeriod(Decimal(2), Decimal(8), effective_from=dt.date(2026, 1, 1), until=dt.date(2026, 7, 1))
    ]
    rules = coming.parameter_rules or ()
    assert [(rule.name, rule.type) for rule in rules] == [
        ("effort", "string"),
        ("tags", "array"),
        ("routing", "object"),
        ("answer_tokens", "int"),
    ]
    assert rules[0].values == {"low": 1, "high": 9, "false": False}
    assert (coming.features, coming.context_size) == (["tool-call"], 16_384)
    assert list(models) == [(ModelType.LLM, "kelana-next"), (ModelType.LLM, "kelana-another")]


def test_texts_are_texts_however_they_are_written(loose: Manifest) -> None:
    """A version is no number, ``yes`` and a date are texts where texts are wanted, and null is nothing."""
    schema = loose.schema
    assert schema.provider == "2024.10"
    assert (schema.label, schema.background, schema.icon_small) == ("A plain text", "0x10", "icon.svg")
    assert schema.description == {"id_ID": "Semua kolom", "no": "Nei"}
    assert schema.help is not None
    assert schema.help.title == "A plain text too"
    version = field_of(loose, "version")
    assert (version.default, version.max_length, version.required, version.label) == ("1.10", 64, False, "")
    agree = field_of(loose, "agree")
    assert (agree.default, [option.value for option in agree.options]) == ("yes", ["yes", "no", "8192", "1.10"])
    when = field_of(loose, "when")
    assert (when.default, when.help) == ("2026-01-31", {"en_US": "It begins on that day"})
    assert when.show_on == [Condition("version", "1.10"), Condition("trace", value=True)]


def test_values_have_the_types_of_their_fields(loose: Manifest) -> None:
    """What is quoted in YAML and no text to the form is what it stands for."""
    assert field_of(loose, "trace").default is True
    retries = field_of(loose, "retries")
    assert (retries.default, retries.min, retries.max) == (3, 0, 9)
    assert loose.schema.timeouts == {"connect": 2.5}
    assert loose.schema.operations == {}


def test_types_are_known_by_their_older_names_and_others_are_left_out(loose: Manifest) -> None:
    """What is not served costs a notice, with its line, and nothing else."""
    assert loose.schema.supported_model_types == [
        ModelType.LLM,
        ModelType.TEXT_EMBEDDING,
        ModelType.TEXT_EMBEDDING,
        ModelType.RERANK,
        ModelType.LLM,
    ]
    assert [notice[: notice.index(" must")] for notice in loose.notices[:2]] == [
        "provider.yaml:9: supported_model_types[5]:",
        "provider.yaml:9: supported_model_types[6]:",
    ]
    assert loose.notices[2:] == (
        "provider.yaml:10: configurate_methods: a list is wanted; this is read as a list of one",
    )
    assert loose.schema.configurate_methods == ["predefined-model"]


def test_loosely_written_models_are_read_without_a_notice(loose: Manifest) -> None:
    """One pattern instead of a list, a list instead of a file of positions, either ending, either name of a folder."""
    models, notices = read_models(loose)
    assert notices == ()
    assert [(kind.value, name) for kind, name in models] == [
        ("llm", "zulu"),
        ("llm", "1.10"),
        ("text-embedding", "e"),
        ("tts", "t"),
    ]


def test_numbers_of_models_are_numbers_and_their_texts_are_texts(loose: Manifest) -> None:
    """However they are written; prices are exact."""
    model = models_of(loose)["1.10"]
    assert (model.label, model.deprecated, model.features) == ("1.10", True, None)
    assert model.model_properties == {
        "mode": "chat",
        "context_size": 8192,
        "max_chunks": 4,
        "licence": "2024-05-01",
    }
    rules = {rule.name: rule for rule in model.parameter_rules or ()}
    temperature = rules["temperature"]
    assert (temperature.default, temperature.min, temperature.max, temperature.precision) == (0.5, 0, 1.5, 1)
    assert (rules["n"].default, rules["n"].options) == (2, ["1", "2", "1.50", "yes"])
    assert isinstance(rules["n"].default, int)
    assert (rules["mode"].default, rules["mode"].options) == ("no", ["no", "yes"])
    assert (rules["stream"].default, rules["stream"].required) == (True, True)
    assert (rules["release"].default, rules["release"].label) == ("1.10", {"en_US": "Release"})
    assert model.pricing is not None
    assert (str(model.pricing.input), str(model.pricing.output), str(model.pricing.unit)) == (
        "0.10",
        "0.3000",
        "0.000001",
    )
    speech = models_of(loose)["t"].model_properties
    assert (speech["default_voice"], speech["voices"]) == (
        "7",
        [{"mode": "7", "name": "Seven", "language": ["id-ID"]}],
    )


def lines_of(name: str) -> list[str]:
    """Return the notices that are expected of a part of the corpus."""
    return (CORPUS / f"{name}.notices.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", ["broken", "seed"])
def test_every_defect_is_told_with_its_file_and_line(name: str) -> None:
    """Each in one line, and each once; in the order of the files and their lines."""
    manifest = read_manifest(CORPUS / name)
    assert [*manifest.notices, *read_models(manifest)[1]] == lines_of(name)


def test_what_is_broken_costs_that_and_no_more() -> None:
    """A model file that cannot be read costs its model; a price that cannot be right costs the price."""
    manifest = read_manifest(CORPUS / "broken")
    models = models_of(manifest)
    assert list(models) == [
        *("huge-unit", "infinite", "million", "nan", "negative", "rules", "tiered", "twice", "with-bom", "zero"),
        *("r", "visitor", "s"),
    ]
    unpriced = ("huge-unit", "infinite", "million", "nan", "negative", "rules", "zero")
    assert [models[name].pricing for name in unpriced] == [None] * len(unpriced)
    assert models["tiered"].pricing == Pricing(Decimal(1), Decimal(2))
    rules = models["rules"].parameter_rules or ()
    assert [(rule.name, rule.type, rule.use_template, rule.min, rule.options) for rule in rules] == [
        ("temperature", None, None, None, ()),
        ("thinking", None, None, None, ()),
        ("format", None, None, None, ["b"]),
    ]
    assert models["rules"].model_properties == {}
    assert models["visitor"].model_type is ModelType.RERANK


def test_a_field_that_nobody_understands_is_a_secret() -> None:
    """Shown is what must not be, if it is read as a text."""
    manifest = read_manifest(CORPUS / "broken")
    assert [(field.variable, field.secret) for field in manifest.schema.form] == [
        ("token", True),
        ("pin", True),
        ("host", False),
    ]


@pytest.mark.parametrize("name", ["full", "loose", "broken", "seed", "ours/kelana"])
def test_a_manifest_read_loosely_can_be_read_strictly(name: str) -> None:
    """As rows of a family are: what was left out, and texts that look like numbers, do not come back."""
    manifest = read_manifest(CORPUS / name)
    schema, notices = schema_from(ProviderSchema, manifest.source, "row")
    assert notices == ()
    assert schema.form == manifest.schema.form
    assert [kind for kind, _ in read_models(replace(manifest, schema=schema))[0]] == [
        kind for kind, _ in read_models(manifest)[0]
    ]


def copied(tmp_path: Path, name: str) -> Path:
    """Return a copy of a part of the corpus."""
    return shutil.copytree(CORPUS / name, tmp_path / name)


def test_a_plugin_without_a_list_of_providers_has_the_one_in_its_folder(tmp_path: Path) -> None:
    """``manifest.yaml`` may be missing, or be anything."""
    folder = copied(tmp_path, "full")
    for text in ("", "plugins: {models: 7}", "- a", "plugins:"):
        (folder / "manifest.yaml").write_text(text)
        assert read_manifest(folder).schema.provider == "kelana"
    (folder / "manifest.yaml").unlink()
    assert read_manifest(folder).notices == ()


def test_a_plugin_has_one_provider(tmp_path: Path) -> None:
    """Others, and names that lead nowhere or out, are told."""
    folder = copied(tmp_path, "full")
    (folder / "provider" / "zulu.yaml").write_text("provider: zulu")
    (tmp_path / "outside.yaml").write_text("provider: outside")
    names = "[../outside.yaml, provider/gone.yaml, provider/zulu.yaml, provider/kelana.yaml]"
    (folder / "manifest.yaml").write_text(f"plugins: {{models: {names}}}")
    manifest = read_manifest(folder)
    assert manifest.schema.provider == "zulu"
    assert manifest.notices == (
        "manifest.yaml: plugins.models names '../outside.yaml', which is no file of the plugin",
        "manifest.yaml: plugins.models names 'provider/gone.yaml', which is no file of the plugin",
        "provider/zulu.yaml is read; a plugin has one provider, and provider/kelana.yaml is left out",
    )


def test_a_manifest_that_cannot_be_read_leaves_the_providers_folder(tmp_path: Path) -> None:
    """A plugin whose list of providers is no YAML has its provider all the same."""
    folder = copied(tmp_path, "full")
    (folder / "manifest.yaml").write_text("plugins: [")
    manifest = read_manifest(folder)
    assert manifest.schema.provider == "kelana"
    assert [notice.partition(" it is")[0] for notice in manifest.notices] == ["manifest.yaml:2:"]


def test_a_provider_folder_that_is_empty_is_none(tmp_path: Path) -> None:
    """Nor are files that begin with an underscore or a dot."""
    (tmp_path / "provider").mkdir()
    (tmp_path / "provider" / "_draft.yaml").write_text("provider: draft")
    with pytest.raises(PluginError, match=r"^provider\.yaml is missing in"):
        read_manifest(tmp_path)
