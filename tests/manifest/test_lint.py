"""`lint`: what a path can be, what is read of code and packaging, and what is left unsaid."""

import subprocess
import sys
from pathlib import Path

import pytest

from modelhub.manifest.lint import lint
from modelhub.manifest.lint.nodes import number_of, text_of

MANIFEST = """\
provider: acme
contract: 1
label: Acme
supported_model_types: [llm]
configurate_methods: [customizable-model]
"""
PYPROJECT = '[project]\nname = "acme"\n[project.entry-points."modelhub.providers"]\nacme = "{target}"\n'
HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
PROVIDER = "from modelhub.provider import LargeLanguageModel, ModelProvider\n"
LLM = "class LLM(LargeLanguageModel):\n    async def stream(self, request, context):\n        yield\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write a small tree."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def project(folder: Path, code: str, *, target: str = "acme:Provider", build: str = HATCH, **files: str) -> Path:
    """Write a project with one provider."""
    more = {name.replace("__", "/").replace("_yaml", ".yaml"): text for name, text in files.items()}
    return write(
        folder,
        {
            "pyproject.toml": PYPROJECT.format(target=target) + build,
            "src/acme/__init__.py": code,
            "src/acme/provider.yaml": MANIFEST,
            **more,
        },
    )


def codes(path: Path) -> list[str]:
    """Return the codes of what is found."""
    return [each.code for each in lint(path)]


def test_a_folder_with_no_provider_says_so(tmp_path: Path) -> None:
    """An empty folder, and a project of something else."""
    assert codes(tmp_path) == ["no-manifest"]
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\n')
    assert codes(tmp_path) == ["no-manifest"]


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    """It is a defect like any other: whoever asks for several paths hears of the others too."""
    (found,) = lint(tmp_path / "provider.yaml")
    assert (found.code, found.file, found.line) == ("unreadable", (tmp_path / "provider.yaml").as_posix(), 1)


def test_a_project_that_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    """Nothing can be said of its providers."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = acme\n")
    (found,) = lint(tmp_path)
    assert (found.code, found.line, Path(found.file).name) == ("unreadable", 2, "pyproject.toml")
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert codes(tmp_path) == ["unreadable"]


def test_a_path_is_shown_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative stays relative, so that a line leads to the file from where the user is."""
    project(tmp_path / "acme", "")
    monkeypatch.chdir(tmp_path)
    assert {each.file for each in lint("acme")} == {"acme/pyproject.toml"}
    monkeypatch.chdir(tmp_path / "acme")
    assert {each.file for each in lint(".")} == {"pyproject.toml"}
    monkeypatch.chdir(tmp_path / "acme" / "src" / "acme")
    assert codes(Path()) == ["entry-point"]


def test_a_package_knows_the_project_around_it(tmp_path: Path) -> None:
    """Its id is compared with the entry point's name, wherever the check begins."""
    project(tmp_path, PROVIDER + LLM + "class Provider(ModelProvider):\n    llm = LLM\n")
    (tmp_path / "src/acme/provider.yaml").write_text(MANIFEST.replace("provider: acme", "provider: other"))
    assert codes(tmp_path) == codes(tmp_path / "src" / "acme") == ["provider-mismatch"]


@pytest.mark.parametrize("layout", ["acme", "lib/acme", "packages/deep/acme", "src/acme"])
def test_a_package_is_found_wherever_it_lies(tmp_path: Path, layout: str) -> None:
    """Beside the project file, in src, or anywhere below."""
    write(
        tmp_path,
        {
            "pyproject.toml": PYPROJECT.format(target="acme.provider:Provider") + HATCH,
            f"{layout}/provider.yaml": MANIFEST,
            f"{layout}/provider.py": PROVIDER + "class Provider(ModelProvider): ...\n",
        },
    )
    (found,) = lint(tmp_path)
    assert (found.code, found.file) == ("type-not-implemented", (tmp_path / layout / "provider.yaml").as_posix())


@pytest.mark.parametrize(
    "code",
    [
        PROVIDER + LLM + "class Provider(ModelProvider):\n    llm = LLM\n",
        PROVIDER + LLM + "class Provider(ModelProvider):\n    llm: object = LLM\n",
        PROVIDER
        + "class Provider(ModelProvider):\n    class llm(LargeLanguageModel):\n        async def invoke(self): ...\n",
        PROVIDER + LLM + "class Base(ModelProvider):\n    llm = LLM\nclass Provider(Base): ...\n",
        PROVIDER + LLM + "class Provider(ModelProvider): ...\nProvider.llm = LLM\n",
        PROVIDER + LLM + "class Provider(ModelProvider): ...\nsetattr(Provider, 'llm', LLM)\n",
        PROVIDER + "class Provider(ModelProvider):\n    async def invoke(self, request): ...\n",
        PROVIDER + LLM + "class Provider(ModelProvider):\n    if True:\n        llm = LLM\n",
        PROVIDER + "@with_models\nclass Provider(ModelProvider): ...\n",
        PROVIDER + "class Provider(ModelProvider, llm=None): ...\n",
        "from elsewhere import Base\nclass Provider(Base): ...\n",
        "from elsewhere import Provider\n",
        "from elsewhere import *\n",
        "import elsewhere\nclass Provider(elsewhere.Base): ...\n",
        "Provider = type('Provider', (), {})\n",
        "def __getattr__(name): ...\n",
        "globals()['Provider'] = 1\n",
        "import modelhub.provider as m\nclass Provider(m.ModelProvider):\n    llm = m.LargeLanguageModel\n",
        "from modelhub import provider\nclass Provider(provider.ModelProvider):\n    llm = make()\n",
    ],
)
def test_code_that_may_serve_its_types_is_left_alone(tmp_path: Path, code: str) -> None:
    """Whatever way the class comes by its models, and where that cannot be told."""
    assert codes(project(tmp_path, code)) == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (PROVIDER + "class Provider(ModelProvider): ...\n", ["type-not-implemented"]),
        (PROVIDER + "class P(ModelProvider): ...\nProvider = P()\n", ["type-not-implemented"]),
        ("from acme.inner import Provider\n", ["type-not-implemented"]),
        ("from .inner import Provider\n", ["type-not-implemented"]),
        ("import acme.inner\nProvider = acme.inner.Provider\n", ["type-not-implemented"]),
        (
            "import modelhub.provider as author\nclass Provider(author.ModelProvider): ...\n",
            ["type-not-implemented"],
        ),
        (
            PROVIDER + "class LLM(LargeLanguageModel): ...\nclass Provider(ModelProvider):\n    llm = LLM\n",
            ["method-missing"],
        ),
        ("", ["entry-point"]),
        ("class Provider(:\n", ["code-unreadable"]),
        ("x = '\0'\n", ["code-unreadable"]),
        ("class Provider(Provider): ...\n", []),
    ],
)
def test_code_that_serves_nothing_is_told(tmp_path: Path, code: str, expected: list[str]) -> None:
    """The class is followed through the package's own modules, by each way of importing."""
    inner = PROVIDER + "class Provider(ModelProvider): ...\n"
    assert codes(write(project(tmp_path, code), {"src/acme/inner.py": inner})) == expected


def test_a_defect_of_code_is_where_the_code_is(tmp_path: Path) -> None:
    """A syntax error has its own line, a class that lacks a method the line of the class."""
    project(tmp_path, "import os\n\nclass Provider(:\n")
    (found,) = lint(tmp_path)
    assert (Path(found.file).name, found.line) == ("__init__.py", 3)


def test_listing_models_in_code_makes_files_unnecessary(tmp_path: Path) -> None:
    """A provider that lists its models needs no files, and no customizable-model."""
    body = "class Provider(ModelProvider):\n    llm = LLM\n"
    project(tmp_path, PROVIDER + LLM + body)
    manifest = tmp_path / "src/acme/provider.yaml"
    manifest.write_text(MANIFEST.replace("customizable", "predefined") + "default_model: acme-1\n")
    assert codes(tmp_path) == ["type-without-models", "unknown-default-model"]
    (tmp_path / "src/acme/__init__.py").write_text(PROVIDER + LLM + body + "    async def list_models(self): ...\n")
    assert codes(tmp_path) == []


SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
GOOD = PROVIDER + LLM + "class Provider(ModelProvider):\n    llm = LLM\n"


@pytest.mark.parametrize(
    ("build", "manifest_in", "complete"),
    [
        (HATCH, "", True),
        ("", "", False),
        (SETUPTOOLS, "", False),
        (SETUPTOOLS.replace('["setuptools"]', '["setuptools", "setuptools-scm>=8"]'), "", True),
        (SETUPTOOLS + '[tool.setuptools.package-data]\nacme = ["**/*.yaml"]\n', "", True),
        (SETUPTOOLS + '[tool.setuptools.package-data]\nacme = ["provider.yaml", "models/*/*.yaml"]\n', "", True),
        (SETUPTOOLS + '[tool.setuptools.package-data]\nacme = ["*.yaml"]\n', "", False),
        (SETUPTOOLS + '[tool.setuptools.package-data]\n"*" = ["*.yaml"]\n', "", True),
        (SETUPTOOLS + '[tool.setuptools.package-data]\nother = ["**/*.yaml"]\n', "", False),
        (SETUPTOOLS, "graft src", True),
        (SETUPTOOLS, "recursive-include src *.yaml", True),
        (SETUPTOOLS, "global-include *.yaml", True),
        (SETUPTOOLS, "include README.md", False),
        (SETUPTOOLS + "[tool.setuptools]\ninclude-package-data = false\n", "graft src", False),
    ],
)
def test_yaml_that_stays_out_of_the_wheel_is_told(
    tmp_path: Path, build: str, manifest_in: str, *, complete: bool
) -> None:
    """Setuptools takes in what it is told to, by its own rules; other builders take the whole package."""
    project(tmp_path, GOOD, build=build, src__acme__models__llm__one_yaml="model: one\n")
    if manifest_in:
        (tmp_path / "MANIFEST.in").write_text(manifest_in + "\n")
    assert codes(tmp_path) == ([] if complete else ["package-data"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"provider: acme\n\tlabel: x\n", "not-yaml"),
        (b"provider: !!python/object:os.system x\n", "not-yaml"),
        (b"\xff\xfe\xfa", "not-yaml"),
        (b"provider: *nothing\n", "not-yaml"),
        (b"a: &a [x, x]\nb: &b [*a, *a, *a, *a]\n" * 2, "duplicate-key"),
        (b"# nothing\n", "not-mapping"),
        (b"x" * (1 << 21), "not-yaml"),
        (b"[" * 500, "not-yaml"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path: Path, content: bytes, expected: str) -> None:
    """Bytes that are no text, tags, bombs and huge files are defects and nothing worse."""
    (tmp_path / "provider.yaml").write_bytes(content)
    assert expected in codes(tmp_path)


def test_folders_that_look_like_files_are_told(tmp_path: Path) -> None:
    """A folder named as a manifest cannot be read as one."""
    (tmp_path / "provider.yaml").mkdir()
    assert codes(tmp_path) == ["unreadable"]


def test_links_out_of_the_package_are_told(tmp_path: Path) -> None:
    """A model file and an icon that are links to somewhere else are not taken for the package's own."""
    write(tmp_path, {"outside/model.yaml": "model: one\n", "outside/icon.svg": "<svg/>"})
    package = write(tmp_path / "acme", {"provider.yaml": f"{MANIFEST}icon_small: icon.svg\n", "models/llm/.keep": ""})
    manifest = package / "provider.yaml"
    manifest.write_text(manifest.read_text() + "models: {llm: {predefined: ['models/llm/*.yaml']}}\n")
    (package / "_assets").mkdir()
    (package / "_assets" / "icon.svg").symlink_to(tmp_path / "outside" / "icon.svg")
    (package / "models/llm/one.yaml").symlink_to(tmp_path / "outside" / "model.yaml")
    assert codes(package) == ["glob-outside", "icon-outside"]
    manifest.write_text(f"{MANIFEST}icon_small: icon.svg\n")  # without a pattern the folder is looked through
    assert codes(package) == ["glob-outside", "icon-outside"]


def test_labels_that_lack_a_language_are_told_once(tmp_path: Path) -> None:
    """One line for a file, which says how many labels and where, and does not bury the rest."""
    rules = "".join(f"  - name: p{number}\n    label: {{ en_US: P }}\n" for number in range(20))
    write(tmp_path, {"provider.yaml": MANIFEST, "models/llm/one.yaml": f"model: one\nparameter_rules:\n{rules}"})
    (found,) = lint(tmp_path)
    assert (found.code, found.line) == ("locale-missing", 4)
    assert found.message == "20 labels have no text for id_ID (lines 4, 6, 8, 10, 12, 14, 16, 18, …)"


def test_nothing_of_the_plugin_is_run(tmp_path: Path) -> None:
    """Code that would leave a trace leaves none."""
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').write('x')\n"
    project(tmp_path / "acme", code + GOOD)
    assert codes(tmp_path / "acme") == []
    assert not trace.exists()


def test_a_repository_of_several_plugins_is_checked_whole(tmp_path: Path) -> None:
    """Projects, packages and Dify plugins below a folder; what lies in tests and in hidden folders is no plugin."""
    project(tmp_path / "plugins" / "one", "")
    write(tmp_path / "plain", {"two/provider.yaml": f"{MANIFEST}lable: x\n"})
    write(tmp_path / "dify" / "three", {"manifest.yaml": "type: plugin\n", "provider/acme.yaml": MANIFEST})
    write(tmp_path / "tests" / "four", {"provider.yaml": "x: y\n"})
    write(tmp_path / ".hidden", {"provider.yaml": "x: y\n"})
    found = {(Path(each.file).relative_to(tmp_path).parts[:2], each.code) for each in lint(tmp_path)}
    assert found == {
        (("plugins", "one"), "entry-point"),
        (("plain", "two"), "unknown-key"),
        (("dify", "three"), "type-not-implemented"),
    }
    write(tmp_path, {"pyproject.toml": PYPROJECT.format(target="five:Provider") + HATCH, "five/__init__.py": ""})
    write(tmp_path, {"five/provider.yaml": MANIFEST})
    found |= {(("pyproject.toml",), "entry-point")}
    assert {(Path(each.file).relative_to(tmp_path).parts[:2], each.code) for each in lint(tmp_path)} == found


WITHOUT_BABEL = """
import sys
sys.modules["babel"] = None
from modelhub.manifest.lint import lint
from modelhub.manifest.lint.nodes import number_of, text_of
print([(each.line, each.code) for each in lint(sys.argv[1])])
"""


def test_lint_does_without_the_library_of_locales(tmp_path: Path) -> None:
    """It is an extra's: without it the form of locales and currencies is checked, and not whether they exist."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "model: x\nlabel:\n  en_US: X\n  id_ID: X\n  jp_JP: X\n  english: X\n"
        "pricing:\n  input: 1\n  output: 1\n  currency: RMB\n"
    )
    assert [(each.line, each.code) for each in lint(path)] == [(5, "locale"), (6, "locale"), (10, "currency")]
    path.write_text(path.read_text() + "  unit: 0\n")
    ran = subprocess.run([sys.executable, "-c", WITHOUT_BABEL, str(path)], capture_output=True, text=True, check=True)
    assert ran.stdout == "[(6, 'locale'), (11, 'unit-zero')]\n"


def test_remedies_name_what_was_meant(tmp_path: Path) -> None:
    """The nearest word, the code in place of a name, the number in place of a unit."""
    path = tmp_path / "x.yaml"
    path.write_text(
        "model: x\nfeaturs: []\nlabel: {en_US: X, id_ID: X, jp_JP: X}\n"
        "parameter_rules:\n  - name: t\n    use_template: temprature\n"
        "pricing:\n  input: 1\n  output: 1\n  unit: 1K\n  currency: RMB\n  cached: 1\n"
    )
    remedies = {each.line: each.remedy for each in lint(path)}
    assert remedies[2] == "did you mean 'features'?"
    assert remedies[3] == "did you mean 'ja_JP'?"
    assert remedies[6] == "did you mean 'temperature'?"
    assert remedies[10] == "write '0.001'"
    assert remedies[11] == "write CNY"
    assert remedies[12].startswith("write 'cached_read'")


FIELDS = MANIFEST + "provider_credential_schema:\n  credential_form_schemas:\n"
FIELD = FIELDS + "    - {variable: x, label: X, "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MANIFEST + "help: [x]\n", [(6, "wrong-type")]),
        (MANIFEST + "description: [x]\n", [(6, "wrong-type")]),
        (MANIFEST + "description: {en_US: '', id_ID: X}\n", [(6, "label-empty"), (6, "locale-missing")]),
        (MANIFEST + "description: {en_US: X, id_ID: X, es_UK: X}\n", [(6, "locale")]),
        (MANIFEST + "description: {en_US: X, id_ID: X, zh_Abcd: X}\n", [(6, "locale")]),
        (MANIFEST + "description: {en_US: X, id_ID: X, es_419: X, sr_Latn_RS: X}\n", []),
        (MANIFEST + f"icon_small: {'x' * 5000}\n", [(6, "icon-missing")]),
        (MANIFEST + "models:\n  llm: {predefined: ['', 7]}\n", [(7, "glob-empty"), (7, "glob-empty")]),
        (MANIFEST + "models:\n  llm: {position: [x]}\n", [(7, "unknown-position")]),
        (MANIFEST + "position: {llm: order.yaml, tts: 7}\n", [(6, "unknown-position"), (6, "wrong-type")]),
        (MANIFEST + f"position: {{llm: {'x' * 5000}}}\n", [(6, "unknown-position")]),
        (MANIFEST + "models:\n  llm: {position: ''}\n", [(7, "unknown-position")]),
        (MANIFEST + "models:\n  llm: {predefined: {a: b}}\n", [(7, "wrong-type")]),
        (MANIFEST + "models:\n  llm: {predefined: }\n", []),
        (MANIFEST + "timeouts: {connect: 0x0A, idle: 1_000, first_token: .5}\n", []),
        (MANIFEST + "timeouts: {connect: .inf, idle: .nan, first_token: -.inf}\n", [(6, "wrong-type")] * 3),
        (MANIFEST + "timeouts: {connect: soon}\n", [(6, "wrong-type")]),
        (MANIFEST + "limits: {rpm: 0x0A, tpm: 1_000.5, concurrency: '2'}\nprobe: /\n", []),
        (MANIFEST + "limits: {rpm: .inf, tpm: .nan, concurrency: 0.5}\n", [(6, "wrong-type")] * 3),
        (MANIFEST + "limits: {rpm: soon}\n", [(6, "wrong-type")]),
        (MANIFEST + "limits: 3\nprobe: [x]\n", [(6, "wrong-type"), (7, "wrong-type")]),
        (MANIFEST + "limits: {rmp: 3}\nprobe: //other.example/\n", [(6, "unknown-limit"), (7, "probe")]),
        (
            MANIFEST + "providers:\n  - provider: a\n    limits: {rpm: -1, x: 1}\n    probe: /a?key=b\n",
            [(8, "unknown-limit"), (8, "wrong-type"), (9, "probe")],
        ),
        (FIELD + "type: [select]}\n", [(8, "wrong-type")]),
        (FIELD + "type: key-value, default: x}\n", [(8, "default-type")]),
        (FIELD + "default: [x]}\n", [(8, "default-type")]),
        (
            FIELD + "type: select, options: [{value: a}], default: b}\n",
            [(8, "default-option")],
        ),
        (FIELD + "type: number, min: 3, default: 2}\n", [(8, "default-range")]),
        (
            FIELD + "show_on: {variable: x, value: y}}\n",
            [(8, "show-on-cycle"), (8, "wrong-type")],
        ),
        (FIELDS + "    - {variable: max_tokens, label: X}\n    - {variable: token_name, label: X}\n", []),
        (FIELD + "show_on: [{variable: y, exists: false}]}\n", [(8, "show-on-unknown")]),
        (
            FIELD + "show_on: [{all: [{variable: y, value: z}]}]}\n",
            [(8, "never-shown"), (8, "show-on-unknown")],
        ),
    ],
)
def test_a_manifest_is_read_as_the_reader_reads_it(tmp_path: Path, text: str, expected: list[tuple[int, str]]) -> None:
    """Odd spellings, odd shapes and odd places, each told by its line."""
    (tmp_path / "provider.yaml").write_text(text, "utf-8")
    found = lint(tmp_path)
    assert sorted({(each.line, each.code) for each in found}) == sorted(set(expected))


def test_every_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """One hides no other: broken YAML in a folder that nothing declares, and broken code that nothing names."""
    files = {
        "src/acme/models/chat/x.yaml": "a: [\n",
        "src/acme/other.py": "def (\n",
        "src/acme/big.py": "#" * (1 << 21),
    }
    write(project(tmp_path, GOOD), files)
    assert [(Path(each.file).name, each.code) for each in lint(tmp_path)] == [
        ("x.yaml", "not-yaml"),
        ("other.py", "code-unreadable"),
    ]


def test_a_class_that_comes_from_broken_code_is_told_once(tmp_path: Path) -> None:
    """Nothing is said of what it serves."""
    write(project(tmp_path, "from .inner import Provider\n"), {"src/acme/inner.py": "class Provider(:\n"})
    assert codes(tmp_path) == ["code-unreadable"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("acme:Provider", []),
        ("acme:Provider [extra]", []),
        ("acme:Outer.Provider", []),
        ("acme", []),
        ("acme:Missing", ["entry-point"]),
        ("acme.missing:Provider", ["entry-point"]),
        ("acme.not-a-name:Provider", ["entry-point"]),
        (f"acme.{'x' * 5000}:Provider", ["entry-point"]),
        ("missing:Provider", ["no-manifest"]),
    ],
)
def test_an_entry_point_leads_to_a_class(tmp_path: Path, target: str, expected: list[str]) -> None:
    """Its module and its name are there, or it is told where in the project file it stands."""
    found = lint(project(tmp_path, f"{GOOD}class Outer:\n    Provider = Provider\n", target=target))
    assert [each.code for each in found] == expected
    assert [(Path(each.file).name, each.line) for each in found] == [("pyproject.toml", 4)] * len(expected)


def test_entry_points_of_poetry_are_found(tmp_path: Path) -> None:
    """They stand under a key of its own; what is no text there is passed over."""
    group = '[tool.poetry.plugins."modelhub.providers"]\nacme = "acme:Provider"\nodd = {}\n'
    write(tmp_path, {"pyproject.toml": group + HATCH, "acme/provider.yaml": MANIFEST, "acme/__init__.py": ""})
    (found,) = lint(tmp_path)
    assert (found.code, found.line) == ("entry-point", 2)


def test_a_difys_own_manifest_is_not_taken_for_a_model(tmp_path: Path) -> None:
    """Given alone, only its YAML is checked; so is a list of models in their order."""
    write(
        tmp_path, {"manifest.yaml": "type: plugin\nplugins: {}\n", "_position.yaml": "- x\n", "broken.yaml": "a: [\n"}
    )
    assert codes(tmp_path / "manifest.yaml") == codes(tmp_path / "_position.yaml") == []
    assert codes(tmp_path / "broken.yaml") == ["not-yaml"]


DIFY = """\
provider: acme
label: {en_US: Acme, id_ID: Acme}
supported_model_types: [llm]
configurate_methods: [customizable-model]
extra: {python: {model_sources: [models/llm/llm.py]}}
"""


WHOLE = """\
from dify_plugin import RerankModel
class Rerank(RerankModel):
    _invoke_error_mapping = {}
    validate_credentials: object = None
    def _invoke(self): ...
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (None, ["type-not-implemented"]),
        ("class X(:\n", ["code-unreadable"]),
        ("class Plain: ...\n", ["type-not-implemented"]),
        ("from dify_plugin import RerankModel\nclass X(RerankModel): ...\n", ["method-missing"]),
        (WHOLE, []),
        ("from dify_plugin import RerankModel\nclass X(Mixin, RerankModel): ...\n", []),
        ("class X(make_base()): ...\n", []),
    ],
)
def test_a_difys_source_serves_its_type(tmp_path: Path, code: str | None, expected: list[str]) -> None:
    """The file is there, has a class with a base, and the class can be made."""
    write(tmp_path, {"provider/acme.yaml": DIFY, **({} if code is None else {"models/llm/llm.py": code})})
    assert sorted(set(codes(tmp_path))) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("0x1F", 31),
        ("1_000", 1000),
        ("1e3", 1000),
        ("snan", None),
        ("1e999999", None),
        ("0x" + "f" * 6000, None),
        ("1M", None),
        ("", None),
    ],
)
def test_numbers_are_read_in_every_spelling(text: str, number: int | None) -> None:
    """Those of YAML and of Python; what is beyond reason is no number."""
    assert number_of(text) == number


def test_a_number_too_long_to_write_is_no_text() -> None:
    """Python refuses to write out thousands of digits; nothing fails for it."""
    assert text_of(1 << 100_000) is None
    assert [text_of(each) for each in (True, 1.5, [], None)] == ["true", "1.5", None, None]


@pytest.mark.parametrize(
    ("key", "remedy"), [("icon", "remove it; the keys here are"), ("feature", "did you mean 'features'?")]
)
def test_a_key_is_taken_for_another_only_where_it_is_like_it(tmp_path: Path, key: str, remedy: str) -> None:
    """Who is told to write `pricing` for `icon` looks for a fault that is not there."""
    write(tmp_path, {"provider.yaml": MANIFEST, "models/llm/m.yaml": f"model: m\nlabel: M\n{key}: [vision]\n"})
    (found,) = [each for each in lint(tmp_path) if each.code == "unknown-key"]
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{use_template: temperature, min: 0, default: 3}", ["default-range"]),
        ("{use_template: temperature, max: 1, default: -1}", ["default-range"]),
        ("{use_template: temperature, min: 5, default: 7}", []),
        ("{use_template: temperature, max: 3, default: 2.5}", []),
        ("{use_template: max_tokens, max: 8192, default: 0}", ["default-range"]),
        ("{use_template: max_tokens, min: 0, default: 0}", []),
        ("{use_template: temperature, type: int, min: 0, default: 3}", ["default-range"]),
        ("{use_template: temperature, type: string, default: hot}", []),
    ],
)
def test_the_bound_that_a_template_gives_counts_beside_the_rules_own(
    tmp_path: Path, rule: str, expected: list[str]
) -> None:
    """As it does in a call."""
    model = f"model: m\nlabel: M\nparameter_rules:\n  - {{name: x, {rule[1:]}\n"
    write(tmp_path, {"provider.yaml": MANIFEST, "models/llm/m.yaml": model})
    found = [each.code for each in lint(tmp_path) if each.code.startswith(("default", "min"))]
    assert found == expected
