"""The reference pages say what the code says: hooks, manifest keys, settings, variables, errors, commands, names."""

import ast
import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest
import yaml

import modelhub
from modelhub import errors, hookspecs
from modelhub.cli.app import COMMANDS, run
from modelhub.configuration import settings as configuration
from modelhub.configuration.environment import setting_variables
from modelhub.manifest.lint import CODES
from modelhub.provider import ModelProvider, ProviderContext
from modelhub.rules.parameters import NEUTRAL
from modelhub.rules.templates import MEANINGS, TEMPLATES
from modelhub.types import forms, parameters, pricing, schema
from modelhub.types.plugins import PluginState
from modelhub.types.problems import SENTENCES

REPOSITORY = Path(__file__).parents[2]
CONTRACT = (REPOSITORY / "docs" / "contract.md").read_text("utf-8")
CONFIGURATION = (REPOSITORY / "docs" / "configuration.md").read_text("utf-8")
FORMS = (REPOSITORY / "docs" / "forms.md").read_text("utf-8")
ERRORS = (REPOSITORY / "docs" / "errors.md").read_text("utf-8")
SCHEMAS = {
    name: getattr(module, name)
    for module in (forms, parameters, pricing, schema)
    for name in module.__all__
    if dataclasses.is_dataclass(getattr(module, name))
}
TABLES = {
    "plugins": configuration.PluginTable,
    "policy": configuration.PolicyTable,
    "timeouts": configuration.TimeoutTable,
    "prices": configuration.PricesTable,
    "store": configuration.StoreTable,
    "routing": configuration.RoutingTable,
    "egress": configuration.EgressTable,
    "sharing": configuration.SharingTable,
    "deployments.<name>": configuration.DeploymentTable,
    "routes.<name>": configuration.RouteTable,
}


def section(page: str, title: str) -> str:
    """Return what stands under a heading, up to the next."""
    found = re.search(rf"^#+ `?{re.escape(title)}`?$\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE)
    assert found is not None, f"there is no section {title}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of a table, those of its head left out."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]


def shown(default: object) -> str:
    """Return a default as the pages write it."""
    match default:
        case dataclasses.MISSING:
            return "required"
        case None:
            return "—"
        case bool():
            return str(default).lower()
        case "" | () | {}:
            return "empty"
        case Decimal():
            return format(default, "f")
        case _:
            return str(default)


def keys_of(cls: type) -> Mapping[str, str]:
    """Return the keys of a schema class with their defaults, as the pages write them."""
    found = {}
    for each in dataclasses.fields(cls):
        made = each.default_factory is not dataclasses.MISSING
        found[each.name.rstrip("_")] = shown({} if made else each.default)
    return found


def signatures() -> dict[str, str]:
    """Return the hooks' signatures as they stand in the source."""
    tree = ast.parse(Path(hookspecs.__file__).read_text("utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list:
            node.args.args = [argument for argument in node.args.args if argument.arg != "self"]
            colour = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            returns = ast.unparse(node.returns) if node.returns else ""
            found[node.name] = f"{colour} {node.name}({ast.unparse(node.args)}) -> {returns}"
    return found


@pytest.mark.parametrize("hook", hookspecs.HOOKS)
def test_a_hook_is_documented_with_its_signature(hook: str) -> None:
    """Each hook has a section that shows its signature, letter by letter."""
    assert f"```text\n{signatures()[hook]}\n```" in section(CONTRACT, hook)


def test_the_contract_version_is_the_codes() -> None:
    """The page names the version that the core serves."""
    assert f"The version of the contract is **{hookspecs.CONTRACT}**" in CONTRACT


@pytest.mark.parametrize("name", SCHEMAS)
def test_manifest_keys_are_those_of_the_schema(name: str) -> None:
    """Each key that is read stands in its table, with its default, in order."""
    documented = {key: default for key, default, _ in rows(section(CONTRACT, name))}
    assert list(documented.items()) == list(keys_of(SCHEMAS[name]).items())


def test_templates_are_documented() -> None:
    """Each template, and each name that needs none, stands on the page."""
    named = set(re.findall(r"`(\w+)`", section(CONTRACT, "Templates")))
    assert {name for name in (*TEMPLATES, *MEANINGS) if name not in named} == set()


def test_warnings_about_parameters_are_documented() -> None:
    """Each code that the rules give stands in the table."""
    sources = "".join(path.read_text("utf-8") for path in (REPOSITORY / "src" / "modelhub" / "rules").glob("*.py"))
    codes = set(re.findall(r"\"(parameter_[a-z]+)\"", sources))
    page = (REPOSITORY / "docs" / "calls.md").read_text("utf-8")
    assert codes == {row[0] for row in rows(page) if row[0].startswith("parameter_")}


def test_what_a_plugin_works_with_is_documented() -> None:
    """The context's and the provider class's names stand in their tables."""
    context = {name for name in dir(ProviderContext) if not name.startswith("_")}
    assert {row[0] for row in rows(section(CONTRACT, "What a hook is given: ProviderContext"))} == context
    hooks = set(hookspecs.HOOKS)
    attributes = {name for name in dir(ModelProvider) if not name.startswith("_")} - hooks - {"model_for"}
    assert {row[0] for row in rows(section(CONTRACT, "Beside the hooks, on the class"))} == attributes


def test_plugin_states_are_documented() -> None:
    """Each state stands in the table."""
    assert {row[0] for row in rows(section(CONTRACT, "States"))} == {state.value for state in PluginState}


def test_the_table_of_errors_is_the_tree() -> None:
    """Each class has its row, with its own scope and retry."""
    documented = {name: (scope, retry) for name, scope, retry, _ in rows(section(ERRORS, "All classes"))}
    values = {"Phase", "Retry", "Scope"}
    classes = {name: getattr(errors, name) for name in errors.__all__ if name not in values}
    assert documented == {name: (cls.scope.value, cls.retry.value) for name, cls in classes.items()}


def test_the_types_of_fields_are_documented() -> None:
    """Each type has its row, Dify's first."""
    types = [each for row in rows(section(FORMS, "The types of fields")) for each in row[0].split("`, `")]
    assert types == list(get_args(forms.FieldType))


def test_the_complaints_about_forms_are_documented() -> None:
    """Each code has its place in the table."""
    table = section(FORMS, "What is wrong, in the reader's language")
    assert sorted(each for row in rows(table) for each in row[0].split("`, `")) == sorted(SENTENCES)


@pytest.mark.parametrize("name", TABLES)
def test_settings_are_documented(name: str) -> None:
    """Each key of a table of modelhub.toml stands on the page with its default."""
    documented = {key: default for key, default, _ in rows(section(CONFIGURATION, f"[{name}]"))}
    assert list(documented.items()) == list(keys_of(TABLES[name]).items())


def test_every_table_of_the_settings_has_its_section() -> None:
    """No table of modelhub.toml is left out."""
    for each in dataclasses.fields(configuration.SettingsFile):
        assert re.search(rf"^### `\[{each.name}", CONFIGURATION, re.MULTILINE), each.name


def test_every_environment_variable_is_documented() -> None:
    """Each MODELHUB_ variable that any code reads stands on the page."""
    sources = [*(REPOSITORY / "src").rglob("*.py"), *REPOSITORY.glob("plugins/*/src/**/*.py")]
    names = {name for path in sources for name in re.findall(r"\"(MODELHUB_[A-Z_]*[A-Z])\"", path.read_text("utf-8"))}
    assert names
    assert {name for name in names if f"`{name}`" not in CONFIGURATION} == set()


def test_every_variable_of_a_setting_is_documented() -> None:
    """Those whose names are put together from tables and keys."""
    assert {name for name in setting_variables() if f"`{name}`" not in CONFIGURATION} == set()


def test_the_schema_of_the_settings_is_published_with_the_pages() -> None:
    """The page's link leads to the file that the tests compare with the code."""
    assert "(schemas/modelhub.schema.json)" in CONFIGURATION
    assert (REPOSITORY / "docs" / "schemas" / "modelhub.schema.json").is_file()


def test_every_public_name_has_its_place_in_the_reference() -> None:
    """What `modelhub` and `modelhub.provider` export stands on the API page."""
    page = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
    documented = set(re.findall(r":: (modelhub\.\w+|modelhub\.provider\.\w+)$", page, re.MULTILINE))
    names = {f"modelhub.{name}" for name in modelhub.__all__}
    names |= {f"modelhub.provider.{name}" for name in modelhub.provider.__all__}
    assert {name for name in names if name not in documented} == set()


def test_the_codes_of_lint_are_documented() -> None:
    """Each stands in one of the page's tables, with how bad it is."""
    page = (REPOSITORY / "docs" / "linting.md").read_text("utf-8")
    documented = {code: severity for code, severity, _ in rows(page.partition("## What is found")[2])}
    assert documented == dict(CODES)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_documented_with_its_options(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command has its section, and each of its options stands there or among those of every command."""
    page = (REPOSITORY / "docs" / "command-line.md").read_text("utf-8")
    text = section(page, command) + section(page, "Options of every command")
    for name, value in {"MODELHUB_LANG": "en", "LANGUAGE": "en", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    assert run([*command.split(), "--help"]) == 0
    options = re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)
    assert "--help" in options
    assert {option for option in options if f"`{option}" not in text} == set()


@pytest.mark.parametrize("provider", ["local_model", "ollama_local"])
def test_a_providers_page_is_its_manifest(provider: str) -> None:
    """Form, operations and the options that have no neutral name stand on the page, in order."""
    (path,) = REPOSITORY.glob(f"plugins/{provider}/src/*/provider.yaml")
    manifest = yaml.safe_load(path.read_text("utf-8"))
    page = (REPOSITORY / "docs" / "providers" / f"{provider}.md").read_text("utf-8")
    form = manifest["provider_credential_schema"]["credential_form_schemas"]
    rules = manifest["defaults"]["llm"]["parameter_rules"]
    own = [rule["name"] for rule in rules if rule.get("use_template", rule["name"]) not in NEUTRAL]
    fields = [(field["variable"], str(field.get("default", "—"))) for field in form]
    operations = [(name, each["arguments"]) for name, each in manifest["operations"].items()]
    assert [(row[0], row[1]) for row in rows(section(page, "Credentials"))] == fields
    assert [(row[0], re.findall(r"\w+", row[1])) for row in rows(section(page, "Operations"))] == operations
    assert [row[0] for row in rows(section(page, "Parameters"))] == own
    sources = "".join(path.read_text("utf-8") for path in REPOSITORY.glob(f"plugins/{provider}/src/**/*.py"))
    codes = set(re.findall(r"\bWarning\(\s*\"([a-z_]+)\"", sources))
    assert codes == ({row[0] for row in rows(section(page, "Warnings"))} if codes else set())


LINKING = [*(REPOSITORY / "docs").rglob("*.md"), *REPOSITORY.glob("*.md"), *REPOSITORY.glob("plugins/*/README.md")]


@pytest.mark.parametrize("page", LINKING, ids=[str(page.relative_to(REPOSITORY)) for page in LINKING])
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file of this repository leads to one; those into a page are checked when the pages are built."""
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.timeout(240)
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    """`make docs` would succeed: every reference leads somewhere."""
    options = ["--fail-on-warning", "--nitpicky", "--keep-going", "-q", "-b", "dummy", "-d", str(tmp_path / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, str(REPOSITORY / "docs"), str(tmp_path / "pages")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert built.returncode == 0, built.stderr
