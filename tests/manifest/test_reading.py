"""Manifests are found and read where they were installed, without importing the plugin; what they misspell is told."""

import sys
from decimal import Decimal
from pathlib import Path

import pytest

from modelhub.errors import PluginError
from modelhub.manifest.contract import IncompatibleContract
from modelhub.manifest.merging import merged
from modelhub.manifest.reading import Manifest, manifest_folder, read_manifest, read_models
from modelhub.manifest.shapes import schema_from, unknown_keys
from modelhub.types.parameters import ParameterRule
from modelhub.types.schema import ModelSchema, ModelType, ProviderSchema, TypeDefaults

ONE_OF = f"must be one of {', '.join(ModelType)}"


def manifest(folder: Path, text: str) -> Manifest:
    """Read a manifest of that text."""
    (folder / "provider.yaml").write_text(text)
    return read_manifest(folder)


def refusal(folder: Path, text: str) -> PluginError:
    """Return what reading a manifest of that text raises."""
    with pytest.raises(PluginError) as caught:
        manifest(folder, text)
    assert "\n" not in caught.value.message
    assert caught.value.remedy
    return caught.value


def package(folder: Path, name: str, code: str = "raise RuntimeError('imported')") -> Path:
    """Write a package."""
    made = folder.joinpath(*name.split("."))
    made.mkdir(parents=True)
    (made / "__init__.py").write_text(code)
    return made


def test_the_folder_of_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep the module lies, the manifest lies in the top-level package."""
    monkeypatch.syspath_prepend(tmp_path)
    made = package(tmp_path, "manifest_pkg")
    package(tmp_path, "manifest_pkg.deep")
    assert manifest_folder("manifest_pkg") == made
    assert manifest_folder("manifest_pkg.deep.provider") == made
    assert "manifest_pkg" not in sys.modules


def test_a_namespace_package_has_its_manifest_in_one_of_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several distributions may share the name."""
    for place in ("one", "two"):
        (tmp_path / place / "manifest_space" / place).mkdir(parents=True)
        monkeypatch.syspath_prepend(tmp_path / place)
    assert manifest_folder("manifest_space.one").parent.name in {"one", "two"}
    (tmp_path / "one" / "manifest_space" / "provider.yaml").touch()
    assert manifest_folder("manifest_space.two") == tmp_path / "one" / "manifest_space"


def test_a_module_and_a_script_have_their_manifest_beside_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For providers given in code."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "manifest_module.py").write_text("raise RuntimeError('imported')")
    assert manifest_folder("manifest_module") == tmp_path
    main = sys.modules["__main__"]
    assert manifest_folder("__main__") == Path(str(main.__file__)).parent


def test_a_package_that_is_not_there(tmp_path: Path) -> None:
    """Its distribution was half removed."""
    with pytest.raises(PluginError, match="package 'not_there_at_all' is not installed") as caught:
        manifest_folder("not_there_at_all.provider")
    assert caught.value.remedy == "reinstall the plugin's distribution"
    with pytest.raises(PluginError, match=r"provider\.yaml is missing in") as caught:
        read_manifest(tmp_path)
    assert "into the wheel" in (caught.value.remedy or "")
    with pytest.raises(PluginError, match="package 'sys' has no folder"):
        manifest_folder("sys")
    with pytest.raises(PluginError, match="package '' cannot be found"):
        manifest_folder("")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provider: [acme", "provider.yaml:2: it is no YAML: "),
        ("provider: acme\n\tlabel: x", "provider.yaml:2: it is no YAML: found a tab"),
        (
            "provider: a\nx: !!python/object:os.system x",
            "provider.yaml:2: the tag 'tag:yaml.org,2002:python/object:os.",
        ),
        ("", "provider.yaml:1: must be a mapping, and it is empty"),
        ("- a\n- b", "provider.yaml:1: must be a mapping, and it is a list"),
        ("label: x", "provider.yaml:1: 'provider' is missing"),
        ("label: x\nprovider:", "provider.yaml:2: 'provider' is missing"),
        ("label: x\nprovider: {id: acme}", "provider.yaml:2: provider: must be a text, not a mapping"),
        ("provider: acme\nx: &x\n  - *x\nproviders: *x", "provider.yaml:3: the alias 'x' stands inside of what it"),
    ],
)
def test_a_manifest_that_cannot_be_one_says_where(tmp_path: Path, text: str, message: str) -> None:
    """In one line, with file and line."""
    assert refusal(tmp_path, text).message.startswith(message)


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        (
            "supported_model_types: [llm, smell]",
            f"supported_model_types[1]: {ONE_OF}, not 'smell' (did you mean 'llm'?); it is left out",
        ),
        ("supported_model_types: llm", "supported_model_types: a list is wanted; this is read as a list of one"),
        ("timeouts: {idle: soon}", "timeouts.idle: must be a number, not 'soon'; it is left out"),
        ("family: perhaps", "family: must be true or false, not 'perhaps'; it is left out"),
        ("help: {title: x, url: [a]}", "help.url: must be a text, not a list; it is left out"),
        (
            "provider_credential_schema: {credential_form_schemas: [{type: select}, {variable: a}]}",
            "provider_credential_schema.credential_form_schemas[0]: 'variable' is missing; it is left out",
        ),
    ],
)
def test_what_is_wrong_in_a_manifest_costs_that_and_no_more(tmp_path: Path, text: str, notice: str) -> None:
    """The provider can be used."""
    found = manifest(tmp_path, f"provider: acme\n{text}\n")
    assert found.schema.provider == "acme"
    assert found.notices == (f"provider.yaml:2: {notice}",)


def test_bytes_that_are_no_text_are_no_yaml(tmp_path: Path) -> None:
    """Nor is a folder."""
    (tmp_path / "provider.yaml").write_bytes(b"provider: \xff\xfe\x00")
    with pytest.raises(PluginError, match=r"provider\.yaml:1: it is no YAML"):
        read_manifest(tmp_path)
    (tmp_path / "odd" / "provider.yaml").mkdir(parents=True)
    with pytest.raises(PluginError, match=r"provider\.yaml cannot be read: Is a directory"):
        read_manifest(tmp_path / "odd")


@pytest.mark.parametrize(("contract", "refused"), [("'1'", False), ("", False), ("true", True), ("old", True)])
def test_a_contract_is_a_number(tmp_path: Path, contract: str, refused: bool) -> None:  # noqa: FBT001  a parameter
    """Quoted or not; none is that of today, as Dify's manifests have none."""
    if refused:
        assert isinstance(refusal(tmp_path, f"provider: acme\ncontract: {contract}"), IncompatibleContract)
    else:
        assert manifest(tmp_path, f"provider: acme\ncontract: {contract}").schema.contract == 1


def test_a_newer_contract_is_incompatible_whatever_else_it_says(tmp_path: Path) -> None:
    """Its keys may mean something else, so that they are not read at all."""
    error = refusal(tmp_path, "contract: 99\nprovider: {id: acme}\nsupported_model_types: all")
    assert isinstance(error, IncompatibleContract)
    assert error.message == "it was written for contract 99; this modelhub serves 1 at most"


def test_keys_that_are_not_understood_are_told_at_any_depth(tmp_path: Path) -> None:
    """With the nearest that is; the manifest is read all the same."""
    found = manifest(
        tmp_path,
        """
provider: acme
labell: {en_US: Acme}
zzzzzz: 1
provider_credential_schema:
  credential_form_schemas:
    - {variable: a}
    - {variable: b, requird: false, options: [{value: x, labl: y}], endpoint: {shceme: http}}
defaults:
  llm: {parameter_rules: [{name: t, mim: 0}]}
operations:
  pull: {argments: [model]}
models: {llm: {anything: goes}}
""",
    )
    form = "provider_credential_schema.credential_form_schemas[1]"
    assert found.notices == (
        "provider.yaml:3: unknown key 'labell'; did you mean 'label'?",
        "provider.yaml:4: unknown key 'zzzzzz'",
        f"provider.yaml:8: {form}: unknown key 'requird'; did you mean 'required'?",
        f"provider.yaml:8: {form}.options[0]: unknown key 'labl'; did you mean 'label'?",
        f"provider.yaml:8: {form}.endpoint: unknown key 'shceme'; did you mean 'scheme'?",
        "provider.yaml:10: defaults.llm.parameter_rules[0]: unknown key 'mim'; did you mean 'min'?",
        "provider.yaml:12: operations.pull: unknown key 'argments'; did you mean 'arguments'?",
    )
    assert found.schema.provider == "acme"


def test_keys_are_looked_at_whatever_their_values_are() -> None:
    """A value of the wrong shape is for the validation to refuse."""
    assert list(unknown_keys(ProviderSchema, {"defaults": [1], "operations": {"a": 1}, 3: 4}, "it")) == [
        "it: unknown key '3'"
    ]


MODEL = "model: {name}\nmodel_type: llm\nmodel_properties: {{context_size: 4096}}\n"


def write(path: Path, text: str) -> None:
    """Write a file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ("", {"a", "b"}),
        ("models: {llm: {predefined: ['models/llm/*.yaml']}}", {"a"}),
        ("models: {llm: {predefined: 'models/llm/*.yaml'}}", {"a"}),
        (
            "models: {llm: {predefined: ['models/llm/*.yaml', 'models/llm/sub/*.yaml', 'more/**/*.yaml']}}",
            {"a", "b", "c"},
        ),
        ("models: {llm: {predefined: [more/c.yaml]}}", {"c"}),
        ("models: {llm: {position: models/llm/_position.yaml}}", {"a", "b"}),
        ("models: {llm: {predefined: []}}", {"a", "b"}),
        ("models: {llm: {predefined: 7}}", {"a", "b"}),
    ],
)
def test_models_are_found_by_globs_or_in_their_types_folder(tmp_path: Path, models: str, expected: set[str]) -> None:
    """A glob or a list of them; files that begin with an underscore are no models."""
    write(tmp_path / "models/llm/a.yaml", MODEL.format(name="a"))
    write(tmp_path / "models/llm/_position.yaml", "- a\n- b\n")
    write(tmp_path / "models/llm/sub/b.yaml", MODEL.format(name="b"))
    write(tmp_path / "more/c.yaml", MODEL.format(name="c"))
    found, notices = read_models(manifest(tmp_path, f"provider: acme\n{models}"))
    assert {name for _, name in found} == expected
    assert notices == ()


def test_the_folder_may_have_either_spelling_of_the_type(tmp_path: Path) -> None:
    """A hyphen or an underscore; the place decides the type."""
    write(tmp_path / "models/text_embedding/e.yaml", "model: e\n")
    write(tmp_path / "models/text-embedding/f.yaml", "model: f\n")
    found, _ = read_models(manifest(tmp_path, "provider: acme"))
    assert {name: schema.model_type for (_, name), schema in found.items()} == dict.fromkeys(
        "ef", ModelType.TEXT_EMBEDDING
    )


@pytest.mark.parametrize(
    ("pattern", "notice"),
    [
        (
            "/etc/*.yaml",
            "provider.yaml:2: models.llm.predefined[0]: '/etc/*.yaml' leads out of the package and is left out",
        ),
        (
            "../*.yaml",
            "provider.yaml:2: models.llm.predefined[0]: '../*.yaml' leads out of the package and is left out",
        ),
        ("models/**x/*.yaml", "provider.yaml:2: models.llm.predefined[0]: 'models/**x/*.yaml' is no pattern"),
        ("''", "provider.yaml:2: models.llm.predefined[0]: '' is no pattern"),
    ],
)
def test_a_pattern_that_leads_astray_is_told(tmp_path: Path, pattern: str, notice: str) -> None:
    """The other patterns count all the same."""
    write(tmp_path / "models/llm/a.yaml", MODEL.format(name="a"))
    found, notices = read_models(
        manifest(tmp_path, f"provider: acme\nmodels: {{llm: {{predefined: [{pattern}, models/llm/*.yaml]}}}}")
    )
    assert {name for _, name in found} == {"a"}
    assert [text[: len(notice)] for text in notices] == [notice]


def test_a_model_file_that_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    """It costs that model and no other."""
    write(tmp_path / "models/llm/a.yaml", MODEL.format(name="a") + "pricng: {}\n")
    write(tmp_path / "models/llm/b.yaml", "model: [")
    write(tmp_path / "models/llm/c.yaml", "label: no name\n")
    write(tmp_path / "models/llm/d.yaml", "- list\n")
    (tmp_path / "models/llm/e.yaml").mkdir()
    found, notices = read_models(manifest(tmp_path, "provider: acme"))
    assert {name for _, name in found} == {"a"}
    beginnings = [
        "models/llm/a.yaml:4: unknown key 'pricng'; did you mean 'pricing'?",
        "models/llm/b.yaml:2: it is no YAML: ",
        "models/llm/c.yaml:1: 'model' is missing",
        "models/llm/d.yaml:1: must be a mapping, and it is a list",
        "models/llm/e.yaml cannot be read: Is a directory",
    ]
    assert [notice.startswith(beginning) for notice, beginning in zip(notices, beginnings, strict=True)] == [True] * 5


def test_a_whole_model_file_is_read(tmp_path: Path) -> None:
    """Money is exact, and what the provider says of all models fills in what this one leaves out."""
    write(
        tmp_path / "models/llm/m.yaml",
        "model: m\nlabel: {en_US: M}\nmodel_properties: {mode: chat, context_size: 8192}\n"
        "parameter_rules:\n  - {name: temperature, use_template: temperature, max: 1}\n"
        "pricing: {input: '0.1', output: '0.30', unit: '0.000001', currency: USD}\n",
    )
    found, notices = read_models(
        manifest(
            tmp_path,
            "provider: acme\ndefaults:\n  llm:\n    features: [tool-call]\n"
            "    model_properties: {context_size: 1, mode: completion, extra: true}\n"
            "    parameter_rules: [{name: temperature, max: 2}, {name: top_p}]\n",
        )
    )
    assert notices == ()
    model = found[ModelType.LLM, "m"]
    assert model.pricing is not None
    assert (model.pricing.input, model.pricing.output) == (Decimal("0.1"), Decimal("0.30"))
    assert model.context_size == 8192
    assert model.model_properties == {"context_size": 8192, "mode": "chat", "extra": True}
    assert model.features == ["tool-call"]
    assert [(rule.name, rule.max) for rule in model.parameter_rules or ()] == [("temperature", 1), ("top_p", None)]


def test_a_model_keeps_what_it_says_itself() -> None:
    """An empty list is something said."""
    provider = ProviderSchema("acme", defaults={"llm": TypeDefaults(["vision"], [ParameterRule("top_p")])})
    assert merged(ModelSchema("m", features=[]), provider).features == []
    assert merged(ModelSchema("m"), provider).features == ["vision"]
    assert merged(ModelSchema("e", ModelType.TEXT_EMBEDDING), provider) == ModelSchema("e", ModelType.TEXT_EMBEDDING)


def test_a_schema_without_a_folder_has_no_models() -> None:
    """Of a provider given in code."""
    assert read_models(Manifest(ProviderSchema("acme"), None, {})) == ({}, ())


def test_a_schema_can_be_read_from_any_mapping() -> None:
    """The value, and what was not understood."""
    schema, notices = schema_from(ModelSchema, {"model": "m", "kind": "x"}, "row")
    assert schema.model == "m"
    assert notices == ("row: unknown key 'kind'",)
