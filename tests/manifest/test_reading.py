"""Manifests are found and read where they were installed, without importing the plugin; what they misspell is told."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from modelhub.errors import PluginError
from modelhub.manifest.contract import IncompatibleContract
from modelhub.manifest.document import MOST_BYTES
from modelhub.manifest.folders import Oddity, PackageFiles
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
    script = tmp_path / "script.py"
    script.write_text("from modelhub.manifest.reading import manifest_folder\nprint(manifest_folder('__main__'))")
    done = subprocess.run([sys.executable, script], capture_output=True, check=True, text=True, timeout=30)
    assert Path(done.stdout.strip()) == tmp_path


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
            "supported_model_types: [llm, reranker]",
            f"supported_model_types[1]: {ONE_OF}, not 'reranker' (did you mean 'rerank'?); it is left out",
        ),
        ("supported_model_types: llm", "supported_model_types: a list is wanted; this is read as a list of one"),
        ("timeouts: {idle: soon}", "timeouts.idle: must be a number, not 'soon'; it is left out"),
        ("limits: {concurrency: soon}", "limits.concurrency: must be a number, not 'soon'; it is left out"),
        ("limits: {rpm: 0}", "limits.rpm: must be a number above 0, not 0; it is left out"),
        ("limits: {tpm: .inf}", "limits.tpm: must be a number, not inf; it is left out"),
        (
            "limits: {concurrency: 0.5}",
            "limits.concurrency: must be a whole number, 1 or more, not 0.5; it is left out",
        ),
        ("limits: {concurency: 2}", "limits: unknown key 'concurency'; did you mean 'concurrency'?"),
        ("limits: {per_day: 2}", "limits: unknown key 'per_day'"),
        ("probe: version", "probe: must be a path that begins with one slash; it is left out"),
        ("probe: //other.example", "probe: must be a path that begins with one slash; it is left out"),
        ("probe: 'https://other.example'", "probe: must be a path that begins with one slash; it is left out"),
        ("probe: '/a b'", "probe: must be a path that begins with one slash; it is left out"),
        ("probe: '/a\\b'", "probe: must be a path that begins with one slash; it is left out"),
        ("probe: '/a?key=b'", "probe: must be a path without a query: anybody may read it; it is left out"),
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


@pytest.mark.parametrize("probe", ["/", "/api/version", "/v1/health.json", "/a:b/~c"])
def test_limits_and_a_probe_are_read(tmp_path: Path, probe: str) -> None:
    """Numbers may be quoted; what is left out is not limited."""
    found = manifest(tmp_path, f"provider: acme\nlimits: {{concurrency: '2', rpm: 0.5}}\nprobe: {probe}\n")
    assert found.notices == ()
    assert found.schema.limits == {"concurrency": 2, "rpm": 0.5}
    assert found.schema.probe == probe
    bare = manifest(tmp_path, "provider: acme\n").schema
    assert (bare.limits, bare.probe) == ({}, None)


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
    """A hyphen or an underscore; the place decides the type where the file does not."""
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
        ("''", "provider.yaml:2: models.llm.predefined[0]: '' is no pattern and is left out"),
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


def test_a_link_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    """Nor one that leads to itself; what lies inside may be linked."""
    package_folder = tmp_path / "package"
    write(tmp_path / "secret.yaml", MODEL.format(name="secret"))
    write(tmp_path / "elsewhere" / "deep.yaml", MODEL.format(name="deep"))
    write(package_folder / "shared" / "a.yaml", MODEL.format(name="a"))
    write(package_folder / "models/llm/_position.yaml", "- a\n")
    models = package_folder / "models" / "llm"
    (models / "a.yaml").symlink_to("../../shared/a.yaml")
    (models / "out.yaml").symlink_to(tmp_path / "secret.yaml")
    (models / "loop.yaml").symlink_to("loop.yaml")
    (models / "folder").symlink_to(tmp_path / "elsewhere")
    text = "provider: acme\nmodels: {llm: {predefined: [models/llm/*.yaml, models/llm/folder/*.yaml]}}\n"
    found, notices = read_models(manifest(package_folder, text))
    assert [name for _, name in found] == ["a"]
    place = "provider.yaml:2: models.llm.predefined"
    assert notices[0] == f"{place}[0]: models/llm/loop.yaml leads out of the package and is left out"
    assert f"{place}[0]: models/llm/out.yaml leads out of the package and is left out" in notices
    assert f"{place}[1]: models/llm/folder/deep.yaml leads out of the package and is left out" in notices


def test_an_installer_may_link_every_file_to_its_cache(tmp_path: Path) -> None:
    """Then the manifest is a link too, and what lies beside it there lies inside."""
    write(tmp_path / "cache" / "provider.yaml", "provider: acme\n")
    write(tmp_path / "cache" / "models/llm/a.yaml", MODEL.format(name="a"))
    write(tmp_path / "other" / "b.yaml", MODEL.format(name="b"))
    (tmp_path / "site" / "models/llm").mkdir(parents=True)
    (tmp_path / "site" / "provider.yaml").symlink_to(tmp_path / "cache" / "provider.yaml")
    (tmp_path / "site" / "models/llm/a.yaml").symlink_to(tmp_path / "cache" / "models/llm/a.yaml")
    (tmp_path / "site" / "models/llm/b.yaml").symlink_to(tmp_path / "other" / "b.yaml")
    found, notices = read_models(read_manifest(tmp_path / "site"))
    assert [name for _, name in found] == ["a"]
    assert notices == ("provider.yaml:1: models: models/llm/b.yaml leads out of the package and is left out",)


def test_a_file_that_is_too_long_costs_its_model(tmp_path: Path) -> None:
    """It is not read to its end."""
    write(tmp_path / "models/llm/a.yaml", MODEL.format(name="a"))
    write(tmp_path / "models/llm/b.yaml", MODEL.format(name="b") + "#" * MOST_BYTES)
    found, notices = read_models(manifest(tmp_path, "provider: acme"))
    assert [name for _, name in found] == ["a"]
    assert notices == ("models/llm/b.yaml is longer than 1024 KiB",)


def test_a_folder_of_too_many_files_is_read_in_part(tmp_path: Path) -> None:
    """The first by name; the rest is told of."""
    for name in "abcd":
        write(tmp_path / f"models/rerank/{name}.yaml", "model: m")
    write(tmp_path / "models/rerank/aa.txt", "")
    found, oddities = PackageFiles(tmp_path, "provider.yaml", {}, most=3).models(ModelType.RERANK)
    assert [path.stem for path in found] == ["a", "b", "c"]
    assert oddities == [Oddity("there are more than 3 model files; the others are left out", ("models",))]


def test_only_the_files_of_the_provider_asked_for_are_opened(tmp_path: Path) -> None:
    """Its manifest alone for the manifest, its models for the models, and nothing of another's."""
    for name in ("one", "two"):
        write(tmp_path / name / "provider.yaml", f"provider: {name}\n")
        write(tmp_path / name / "models/llm/m.yaml", MODEL.format(name="m"))
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from pathlib import Path\n"
        "from modelhub.manifest.reading import read_manifest, read_models\n"
        f"root = {str(tmp_path)!r}\n"
        "def own(): return [path[len(root) + 1:] for path in opened if path.startswith(root)]\n"
        "manifest = read_manifest(Path(root, 'one'))\n"
        "assert own() == ['one/provider.yaml'], own()\n"
        "read_models(manifest)\n"
        "assert own() == ['one/provider.yaml', 'one/models/llm/m.yaml'], own()\n"
        "assert 'pydantic' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_is_of_the_type_that_it_says(tmp_path: Path) -> None:
    """As in Dify; where it says none, of that of its folder. Types that are not served are left out."""
    write(tmp_path / "models/llm/a.yaml", "model: a\nmodel_type: embeddings\n")
    write(tmp_path / "models/llm/b.yaml", "model: b\nmodel_type: multimodal-embedding\n")
    write(tmp_path / "models/rerank/c.yaml", "model: c\nmodel_type:\n")
    found, notices = read_models(manifest(tmp_path, "provider: acme"))
    assert list(found) == [(ModelType.TEXT_EMBEDDING, "a"), (ModelType.RERANK, "c")]
    assert notices == (
        "models/llm/a.yaml:2: a model of type 'text-embedding' stands among those of 'llm'",
        "models/llm/b.yaml:2: the model is left out: models of type 'multimodal-embedding' are not served",
    )


def test_templates_fill_in_what_a_rule_leaves_out(tmp_path: Path) -> None:
    """Its own keys go before, 0 and ``false`` too; a template that does not exist is told, neutral names are kept."""
    write(
        tmp_path / "models/llm/m.yaml",
        "model: m\nparameter_rules:\n"
        "  - {name: num_predict, use_template: max_tokens, min: 0, default: 0}\n"
        "  - {name: nucleus, use_template: top_p, max: 0.9, required: false}\n"
        "  - {name: end, use_template: stop}\n"
        "  - {name: length, use_template: max_token}\n",
    )
    found, notices = read_models(manifest(tmp_path, "provider: acme"))
    tokens, nucleus, end, length = found[ModelType.LLM, "m"].parameter_rules or ()
    assert (tokens.neutral, tokens.type, tokens.min, tokens.default, tokens.max) == ("max_tokens", "int", 0, 0, None)
    assert (nucleus.type, nucleus.min, nucleus.max, bool(nucleus.label)) == ("float", 0, 0.9, True)
    assert end.neutral == "stop"
    assert (length.neutral, length.type) == ("length", None)
    place = "models/llm/m.yaml:6: parameter_rules[3].use_template"
    assert notices == (f"{place}: there is no template 'max_token'; did you mean 'max_tokens'?",)


def test_templates_fill_in_the_rules_of_all_models(tmp_path: Path) -> None:
    """Those that the manifest has for a type."""
    rules = "[{name: t, use_template: temperature}, {name: n, use_template: x}]"
    found = manifest(tmp_path, f"provider: acme\ndefaults:\n  llm:\n    parameter_rules: {rules}\n")
    filled = found.schema.defaults["llm"].parameter_rules or ()
    assert [(rule.neutral, rule.type) for rule in filled] == [("temperature", "float"), ("n", None)]
    assert [notice.partition(": there")[0] for notice in found.notices] == [
        "provider.yaml:4: defaults.llm.parameter_rules[1].use_template"
    ]


@pytest.mark.parametrize(
    ("position", "order", "notices"),
    [
        ("", "bac", []),
        ("models: {llm: {position: [c, a]}}", "cab", []),
        ("models: {llm: {position: order.yml}}", "cba", []),
        ("position: {llm: [c]}", "cab", []),
        ("position: {llm: order.yml}", "cba", []),
        ("position: order.yml", "bac", []),
        ("position: 7", "bac", []),
        ("models: {llm: {position: 7}}", "bac", []),
        ("models: {llm: {position: ''}}", "abc", ["provider.yaml:2: models.llm.position: '' is no file"]),
        ("models: {llm: {position: gone.yml}}", "abc", ["provider.yaml:2: models.llm.position: 'gone.yml' is no file"]),
        ("position: {llm: ../o.yml}", "abc", ["provider.yaml:2: position.llm: '../o.yml' is no file"]),
        ("models: {llm: {position: map.yml}}", "abc", ["map.yml:1: must be a list of models"]),
        ("models: {llm: {position: odd.yml}}", "abc", ["odd.yml:3: it is no YAML: "]),
    ],
)
def test_models_are_listed_in_the_order_that_is_given(
    tmp_path: Path, position: str, order: str, notices: list[str]
) -> None:
    """In the manifest, in a file that it names or in the usual one; the others after them, by name."""
    for name in "abc":
        write(tmp_path / f"models/llm/{name}.yaml", f"model: {name}\n")
    write(tmp_path / "models/llm/_position.yaml", "- b\n")
    write(tmp_path / "order.yml", "- c\n- b\n- a\n")
    write(tmp_path / "map.yml", "c: 1\n")
    write(tmp_path / "odd.yml", "- c\n- [")
    found, said = read_models(manifest(tmp_path, f"provider: acme\n{position}\n"))
    assert "".join(name for _, name in found) == order
    told = [line for line in said if "must be a mapping" not in line]
    assert [line[: len(notice)] for line, notice in zip(told, notices, strict=True)] == notices


def test_a_name_stands_for_one_model(tmp_path: Path) -> None:
    """The first file counts, the others are told; of another type it is another model."""
    write(tmp_path / "models/llm/a.yaml", "model: m\nlabel: first\n")
    write(tmp_path / "models/llm/b.yaml", "model: m\nlabel: second\n")
    write(tmp_path / "models/rerank/a.yaml", "model: m\n")
    found, notices = read_models(manifest(tmp_path, "provider: acme"))
    assert list(found) == [(ModelType.LLM, "m"), (ModelType.RERANK, "m")]
    assert found[ModelType.LLM, "m"].label == "first"
    assert notices == ("models/llm/b.yaml:1: model 'm' is left out: it is in models/llm/a.yaml too",)


def test_every_problem_of_a_mapping_is_in_one_message() -> None:
    """Of what the application says itself, which must be right."""
    source = {"model": "m", "model_type": "reranker", "pricing": {"input": -1}, "parameter_rules": [{"min": "low"}]}
    with pytest.raises(PluginError) as caught:
        schema_from(ModelSchema, source, "[models.m]")
    assert caught.value.message.split("; ") == [
        f"[models.m]: model_type: {ONE_OF}, not 'reranker' (did you mean 'rerank'?)",
        "[models.m]: pricing.input: -1 is no price",
        "[models.m]: parameter_rules[0].min: must be a number, not 'low'",
        "[models.m]: parameter_rules[0]: 'name' is missing",
    ]


def test_what_is_odd_in_a_mapping_is_told_and_read() -> None:
    """A single value for a list, say."""
    schema, notices = schema_from(ModelSchema, {"model": "m", "features": "vision"}, "row")
    assert schema.features == ["vision"]
    assert notices == ("row: features: a list is wanted; this is read as a list of one",)


def test_messages_are_lines_whatever_they_quote(tmp_path: Path) -> None:
    """Keys, tags and names of files may be long, or hold line breaks and commands of terminals."""
    odd = "a\nb\x1b[31m" + "x" * 500
    text = yaml.safe_dump({"provider": "acme", odd: 1, "label": {odd: [1]}, "models": {"llm": {"position": odd}}})
    write(tmp_path / "models/llm/a\nb.yaml", f"model: !!{'z' * 5000} x")
    found = manifest(tmp_path, text + '"twice\\n": 1\n"twice\\n": 2\n')
    lines = (*found.notices, *read_models(found)[1])
    assert len(lines) == 5
    assert all(line.isprintable() and len(line) < 700 for line in lines)


def test_a_file_is_read_once_however_often_it_is_declared(tmp_path: Path) -> None:
    """For the type that declares it first."""
    write(tmp_path / "all/a.yaml", "model: a\n")
    write(tmp_path / "all/b.yaml", "model: b\nmodel_type: rerank\n")
    text = "provider: acme\nmodels: {llm: {predefined: all/*}, rerank: {predefined: all/*}}\n"
    found, notices = read_models(manifest(tmp_path, text))
    assert list(found) == [(ModelType.LLM, "a"), (ModelType.RERANK, "b")]
    assert notices == ("all/b.yaml:2: a model of type 'rerank' stands among those of 'llm'",)


def test_a_manifest_that_is_gone_has_no_lines(tmp_path: Path) -> None:
    """What is odd in it is told all the same."""
    found = manifest(tmp_path, "provider: acme\nmodels: {llm: {position: gone.yaml}}\n")
    write(tmp_path / "models/llm/a.yaml", "model: a\n")
    (tmp_path / "provider.yaml").unlink()
    models, notices = read_models(found)
    assert list(models) == [(ModelType.LLM, "a")]
    assert notices == ("provider.yaml: models.llm.position: 'gone.yaml' is no file of the package",)


def test_names_that_no_file_can_have_lead_nowhere(tmp_path: Path) -> None:
    """However they are given."""
    long = "a" * 5000
    write(tmp_path / "manifest.yaml", f"plugins: {{models: [{long}, provider/acme.yaml]}}")
    models = f"{{llm: {{predefined: [{long}, {long}/*.yaml, 'models/llm/*'], position: {long}}}}}"
    write(tmp_path / "provider/acme.yaml", f"provider: acme\nmodels: {models}\n")
    write(tmp_path / "models/llm/a.yaml", "model: a\n")
    manifest = read_manifest(tmp_path)
    found, notices = read_models(manifest)
    assert list(found) == [(ModelType.LLM, "a")]
    assert [len(notice) < 400 for notice in (*manifest.notices, *notices)] == [True] * (1 + len(notices))
    assert "position" in notices[-1]


def test_a_position_names_models_as_they_are_written(tmp_path: Path) -> None:
    """A name may look like a number."""
    for name in ("1.10", "1.9", "zulu"):
        write(tmp_path / f"models/llm/{name}.yaml", f"model: {name}\n")
    text = "provider: acme\nmodels: {llm: {position: [zulu, 1.10, {a: b}]}}\n"
    assert [name for _, name in read_models(manifest(tmp_path, text))[0]] == ["zulu", "1.10", "1.9"]


def test_a_folder_that_cannot_be_looked_into_is_told(tmp_path: Path) -> None:
    """As one is whose name no folder can have."""
    with pytest.raises(PluginError, match=r"cannot be read: File name too long \(mend its permissions") as caught:
        read_manifest(tmp_path / ("a" * 300))
    assert caught.value.remedy is not None
