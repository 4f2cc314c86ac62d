"""What Home Assistant's hassfest and HACS check of an integration, checked here without either of them."""

import ast
import importlib
import json
import re
import string
import struct
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import homeassistant
import pytest
from homeassistant.util.yaml import parse_yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "custom_components" / "lwm2m"
COMPONENTS = Path(homeassistant.__file__).parent / "components"

type Json = dict[str, Any]

# Reasons and errors that Home Assistant's own helpers give.
HELPER_REASONS = {
    "_abort_if_unique_id_configured": "already_configured",
    "async_set_unique_id": "already_in_progress",
    "async_update_reload_and_abort": ("reauth_successful", "reconfigure_successful"),
}
# Always in Home Assistant, so not for the manifest to ask for.
CORE_PACKAGES = {"homeassistant", "voluptuous", "aiohttp", "cffi", "_cffi_backend", "cryptography", "yarl", "orjson"}


def load(name: str) -> Json:
    """Return a JSON file of the integration; a key given twice is an error."""

    def unique(pairs: list[tuple[str, Any]]) -> Json:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"{name}: a key twice in {keys}"
        return dict(pairs)

    return dict(json.loads((PACKAGE / name).read_text(), object_pairs_hook=unique))


def pyproject() -> Json:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def pinned(name: str) -> dict[str, str]:
    """Return what a requirement file pins: name in lower case to version."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return {line.split("==")[0].lower(): line.split("==")[1] for line in lines}


def tracked() -> list[Path]:
    """Return the text files that are in the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and not name.endswith((".png", ".lzma", ".bin"))]


# The glue's sources, read without running a flow.


class Source:
    """One module at the top of the package: its tree, and its names for resolving constants."""

    def __init__(self, file: Path) -> None:
        self.name = file.stem
        self.tree = ast.parse(file.read_text())
        self.module = importlib.import_module(f"custom_components.lwm2m.{file.stem}".removesuffix(".__init__"))

    def text(self, node: ast.expr | None) -> str | None:
        """Return the string that an expression is, where that can be read off."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Name) and isinstance(value := getattr(self.module, node.id, None), str):
            return str(value)
        return None

    def calls(self, *names: str, tree: ast.AST | None = None) -> Iterator[ast.Call]:
        """Yield the calls of a function or method of one of these names."""
        for node in ast.walk(tree or self.tree):
            if isinstance(node, ast.Call):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called in names:
                    yield node

    def keyword(self, call: ast.Call, name: str) -> str | None:
        return next((self.text(word.value) for word in call.keywords if word.arg == name), None)


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    return [Source(file) for file in sorted(PACKAGE.glob("*.py"))]


@pytest.fixture(scope="module")
def translations() -> Json:
    return load("translations/en.json")


def flow_classes(sources: list[Source], *, options: bool) -> Iterator[tuple[Source, ast.ClassDef]]:
    """Yield the classes with flow steps: those of the options flow, or all others but the flows of repair issues."""
    for source in sources:
        if source.name == "repairs":
            continue
        for node in source.tree.body:
            if (
                isinstance(node, ast.ClassDef)
                and any(
                    isinstance(item, ast.AsyncFunctionDef) and item.name.startswith("async_step_") for item in node.body
                )
                and options == any("OptionsFlow" in ast.unparse(base) for base in node.bases)
            ):
                yield source, node


def leaves(tree: Any, *path: str) -> Iterator[tuple[str, str]]:
    """Yield every string of a translation tree with its dotted place."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, *path, key)
    else:
        yield ".".join(path), tree


# Manifest and packaging


def test_manifest_keys_and_order() -> None:
    manifest = load("manifest.json")
    keys = list(manifest)
    assert keys[:2] == ["domain", "name"]
    assert keys[2:] == sorted(keys[2:])
    assert set(keys) >= {"codeowners", "config_flow", "documentation", "integration_type", "iot_class", "issue_tracker"}
    assert "single_config_entry" not in manifest  # it would stop every discovery flow
    assert manifest["domain"] == PACKAGE.name
    assert manifest["integration_type"] == "hub"
    assert manifest["iot_class"] == "local_push"
    assert manifest["config_flow"] is True
    assert all(owner.startswith("@") for owner in manifest["codeowners"])
    assert manifest["documentation"].startswith("https://")
    assert manifest["issue_tracker"].startswith("https://")
    for domain in (*manifest["dependencies"], *manifest.get("after_dependencies", ())):
        assert (COMPONENTS / domain / "manifest.json").is_file()


def test_one_version_everywhere() -> None:
    version = load("manifest.json")["version"]
    assert str(Version(version)) == version
    assert pyproject()["project"]["version"] == version


def test_requirements_agree() -> None:
    asked = load("manifest.json")["requirements"]
    assert asked == sorted(asked, key=str.lower)
    assert set(asked) < set(pyproject()["project"]["dependencies"])
    for requirement in map(Requirement, asked):
        for name in ("test", "demo", "server"):
            assert Version(pinned(name)[requirement.name.lower()]) in requirement.specifier, name
    assert pinned("server").items() <= pinned("test").items()


def test_prebuilt_tradfri_requirements_satisfy_ours() -> None:
    """Home Assistant OS has no compiler: what it brings for tradfri must do."""
    asked = {
        requirement.name: requirement.specifier
        for requirement in map(Requirement, load("manifest.json")["requirements"])
    }
    assert "0.4.12" in asked["aiocoap"]
    assert "0.1.18" in asked["DTLSSocket"]


def test_manifest_asks_for_what_is_imported() -> None:
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    found -= CORE_PACKAGES | sys.stdlib_module_names | {"custom_components"}
    assert found == {Requirement(text).name for text in load("manifest.json")["requirements"]}


def test_home_assistant_versions() -> None:
    oldest = Version(json.loads((ROOT / "hacs.json").read_text())["homeassistant"])
    assert Version(pinned("test")["homeassistant"]) == oldest
    assert Version(pinned("demo")["homeassistant"]) > oldest
    assert f"homeassistant>={oldest}" in pyproject()["project"]["dependencies"]


def test_requirement_files_name_no_index() -> None:
    for file in (ROOT / "requirements").iterdir():
        text = file.read_text()
        assert "://" not in text, file.name
        if file.suffix == ".txt":
            assert all(
                re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[\w.+!-]+", line) for line in text.splitlines()
            )


def test_hacs() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert set(hacs) <= {"name", "homeassistant", "hacs", "hide_default_branch", "render_readme", "country"}
    assert hacs["name"] == load("manifest.json")["name"]
    assert (ROOT / "README.md").is_file()
    assert [path.name for path in (ROOT / "custom_components").iterdir() if (path / "manifest.json").exists()] == [
        "lwm2m"
    ]


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_brand_images(name: str, size: int) -> None:
    data = (PACKAGE / "brand" / name).read_bytes()
    assert data[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
    assert struct.unpack(">II", data[16:24]) == (size, size)


# Flows and their words


@pytest.mark.parametrize("kind", ["config", "options"])
def test_flow_steps_have_words(sources: list[Source], translations: Json, kind: str) -> None:
    steps = translations[kind]["step"]
    shown, menus, handled = set(), set(), set()
    for source, node in flow_classes(sources, options=kind == "options"):
        handled |= {
            item.name.removeprefix("async_step_") for item in node.body if isinstance(item, ast.AsyncFunctionDef)
        }
        for call in source.calls("async_show_form", "async_show_menu", tree=node):
            shown.add(source.keyword(call, "step_id"))
            for word in call.keywords:
                if word.arg == "menu_options" and isinstance(word.value, ast.List | ast.Tuple):
                    menu = {source.text(item) for item in word.value.elts}
                    menus |= menu
                    step = source.keyword(call, "step_id")
                    if step is not None:  # else it is in a variable
                        options = steps[step]["menu_options"]
                        assert menu - {None} <= set(options), f"{step}: a menu option without words"
    shown.discard(None)  # a step id in a variable; the reverse is checked below
    assert shown
    assert shown <= set(steps), "a step without words"
    assert set(steps) <= handled, "words for a step that is not there"
    assert menus - {None} <= handled, "a menu option that leads nowhere"


def test_fix_flows_have_words(sources: list[Source], translations: Json) -> None:
    """Steps and outcomes of the flows of issues; an issue has such a flow, or a description."""
    (source,) = (source for source in sources if source.name == "repairs")
    shown = {source.keyword(call, "step_id") for call in source.calls("async_show_form", "async_show_menu")}
    reasons = {source.keyword(call, "reason") for call in source.calls("async_abort")}
    assert all(("description" in words) is not ("fix_flow" in words) for words in translations["issues"].values())
    flows = [words["fix_flow"] for words in translations["issues"].values() if "fix_flow" in words]
    assert shown == {step for flow in flows for step in flow["step"]}
    assert reasons == {reason for flow in flows for reason in flow.get("abort", ())}
    steps = [words for flow in flows for words in flow["step"].values()]
    menus = {
        source.text(item)
        for call in source.calls("async_show_menu")
        for word in call.keywords
        if word.arg == "menu_options" and isinstance(word.value, ast.List)
        for item in word.value.elts
    }
    assert menus == {option for words in steps for option in words.get("menu_options", ())}
    fields = {source.text(call.args[0]) for call in source.calls("Required", "Optional")}
    assert fields == {field for words in steps for field in words.get("data", ())}
    assert all(set(words.get("data", ())) == set(words.get("data_description", ())) for words in steps)


def test_flow_outcomes_have_words(sources: list[Source], translations: Json) -> None:
    reasons, errors, actions = set(), set(), set()
    for source in (source for source in sources if source.name != "repairs"):
        for call in source.calls("async_abort"):
            reasons.add(source.keyword(call, "reason"))
        for call in source.calls("AbortFlow"):
            reasons.add(source.text(call.args[0]) if call.args else source.keyword(call, "reason"))
        for name, reason in HELPER_REASONS.items():
            if any(source.calls(name)):
                reasons |= {reason} if isinstance(reason, str) else set(reason)
        for call in source.calls("async_show_progress"):
            actions.add(source.keyword(call, "progress_action"))
        for call in source.calls("async_show_form"):
            for word in call.keywords:
                if word.arg == "errors" and isinstance(word.value, ast.Dict):
                    errors |= {source.text(value) for value in word.value.values}
        for node in ast.walk(source.tree):
            if (
                isinstance(node, ast.Assign)
                and isinstance(target := node.targets[0], ast.Subscript)
                and ast.unparse(target.value) in {"errors", "self._errors"}
            ):
                errors.add(source.text(node.value))
    known = translations["config"] | {"options": translations.get("options", {})}
    assert reasons - {None} <= set(known["abort"])
    assert actions - {None} <= set(known["progress"])
    assert errors - {None} <= set(known["error"]) | set(known["options"].get("error", {}))


def test_no_words_for_nothing(sources: list[Source], translations: Json) -> None:
    """Each error, reason, progress, exception, issue and selector that has words is named somewhere in the code."""
    named = {
        node.value
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    named |= {
        reason
        for source in sources
        for name, reasons in HELPER_REASONS.items()
        if any(source.calls(name))
        for reason in ([reasons] if isinstance(reasons, str) else reasons)
    }
    for place in (
        "config.error",
        "config.abort",
        "config.progress",
        "options.error",
        "options.abort",
        "exceptions",
        "issues",
        "selector",
    ):
        tree: Any = translations
        for key in place.split("."):
            tree = tree.get(key, {})
        assert set(tree) <= named, f"{place}: {sorted(set(tree) - named)} is said nowhere"


def test_fields_are_explained(translations: Json) -> None:
    """Each field has a name and a description, in forms and in their sections."""
    for kind in ("config", "options"):
        for step, words in translations[kind]["step"].items():
            for part in (words, *words.get("sections", {}).values()):
                assert set(part.get("data", {})) == set(part.get("data_description", {})), f"{kind}.step.{step}"


def test_form_fields_have_words(sources: list[Source], translations: Json) -> None:
    """Each field of a schema in the flows' modules is named in some step."""
    fields = set()
    for source in sources:
        if source.name.startswith("config_flow") or any(True for _ in flow_classes([source], options=False)):
            for call in source.calls("Required", "Optional"):
                fields.add(source.text(call.args[0]))
    known = {
        key
        for kind in ("config", "options")
        for words in translations[kind]["step"].values()
        for part in (words, *words.get("sections", {}).values())
        for key in (*part.get("data", {}), *words.get("sections", {}))
    }
    assert fields - {None}
    assert fields - {None} <= known


def test_errors_raised_have_words(sources: list[Source], translations: Json) -> None:
    raised, issues = set(), set()
    for source in sources:
        for call in source.calls(
            "HomeAssistantError",
            "ServiceValidationError",
            "ConfigEntryNotReady",
            "ConfigEntryError",
            "ConfigEntryAuthFailed",
        ):
            raised.add(source.keyword(call, "translation_key"))
            assert not call.args, f"{source.name}:{call.lineno}: an error with a text of its own"
        for call in source.calls("async_create_issue"):
            issues.add(source.keyword(call, "translation_key"))
    assert raised - {None} <= set(translations.get("exceptions", {}))
    assert issues - {None} <= set(translations.get("issues", {}))


def test_words_are_well_formed(translations: Json) -> None:
    assert set(translations) <= {
        "title", "common", "config", "config_panel", "config_subentries", "device", "device_automation", "entity",
        "entity_component", "exceptions", "issues", "options", "selector", "services", "system_health",
        "conditions", "triggers",
    }  # fmt: skip
    for place, words in leaves(translations):
        assert isinstance(words, str), place
        assert words, place
        assert words == words.strip(), place
        assert not re.search(r"https?://", words), f"{place}: links go through placeholders"
        assert not re.search("[\u2039\u203a]|<[a-z/]", words), f"{place}: markup"
        for _, name, _, _ in string.Formatter().parse(words):
            assert name is None or name.isidentifier(), f"{place}: {{{name}}}"


# Actions, icons


def services() -> Json:
    file = PACKAGE / "services.yaml"
    described = parse_yaml(file.read_text()) if file.exists() else {}
    assert isinstance(described, dict)
    return described


def test_actions_have_words_and_icons(sources: list[Source], translations: Json) -> None:
    described = services()
    registered = {
        source.text(call.args[position])
        for source in sources
        for name, position in (("async_register_admin_service", 2), ("async_register", 1))
        for call in source.calls(name)
        if len(call.args) > position
    } - {None}
    assert registered <= set(described)
    words = translations.get("services", {})
    assert set(described) == set(words)
    assert set(described) == set(load("icons.json").get("services", {}))
    for name, action in described.items():
        fields = (action or {}).get("fields", {})
        assert set(fields) == set(words[name].get("fields", {})), name
        assert all({"name", "description"} <= set(field) for field in words[name].get("fields", {}).values()), name


def test_icons_belong_to_something(translations: Json) -> None:
    icons = load("icons.json")
    assert set(icons) <= {"entity", "services"}
    for platform, keys in icons.get("entity", {}).items():
        assert set(keys) <= set(translations["entity"][platform]), platform
    for place, icon in leaves(icons):
        assert re.fullmatch(r"mdi:[a-z0-9-]+", icon), place


# The repository


def test_nothing_left_undone_or_local() -> None:
    undone = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")
    for file in tracked():
        if not file.is_file():
            continue
        text = file.read_text()
        if file.name != "LICENSE":
            assert not undone.search(text), file
        assert f"{ROOT.parent}/" not in text, f"{file}: a path of this machine"


def test_files_can_be_held_in_the_head() -> None:
    long = {
        file.name: len(file.read_text().splitlines()) for file in tracked() if file.suffix == ".py" and file.is_file()
    }
    assert not {name: lines for name, lines in long.items() if lines > 500}


def test_readme_names_the_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in ("scripts/develop", "scripts/test"):
        assert command in readme
        assert (ROOT / command).stat().st_mode & 0o111
