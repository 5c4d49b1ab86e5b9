"""The repository keeps its own rules: sizes, names, documentation, pins, and no trace of one machine."""

import ast
import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import wattbench
from wattbench.harness.cli.group import bench
from wattbench.results.doubts import DOUBT_CODES

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("api", "backends", "harness", "models", "results")
FUNCTION_LINES, MODULE_LINES = 50, 400


def modules() -> Iterator[Path]:
    """Yield the package's source files that hold code."""
    for room in ROOMS:
        yield from (path for path in sorted((ROOT / room).rglob("*.py")) if path.read_text().strip())


def name_of(path: Path) -> str:
    """Return the installed name of a source file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    inside = parts[1:] if parts[0] == "api" else parts
    return ".".join(("wattbench", *inside)).removesuffix(".__init__")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a file, however deep."""
    tree = ast.parse(path.read_text())
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def public_names(path: Path) -> list[str] | None:
    """Return the module's `__all__`, or None without one."""
    for node in ast.parse(path.read_text()).body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            return [str(name) for name in ast.literal_eval(value)] if value is not None else None
    return None


def defined_names(path: Path) -> set[str]:
    """Return the names that the top level of a module binds, without running it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found.update((alias.asname or alias.name).split(".")[0] for alias in names)
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
    return found


def page(name: str) -> str:
    """Return the text of a page in docs/."""
    return (ROOT / "docs" / name).read_text()


def project() -> dict[str, Any]:  # any: TOML
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def tracked_files() -> list[Path]:
    """Return the files under version control; skips where there is no git or no checkout."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def commands(command: click.Command, name: str = "bench") -> Iterator[tuple[str, click.Command]]:
    """Yield the full name and the command, for a command and everything below it."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from commands(below, f"{name} {word}")


def command_line() -> dict[str, click.Command]:
    """Return every command of `bench` by its full name."""
    return dict(commands(bench))


def test_functions_are_short() -> None:
    """No function is longer than 50 lines."""
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length} lines"
        for path in modules()
        for node in functions(path)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]

    assert [] == long


def test_modules_are_short() -> None:
    """No module is longer than 400 lines."""
    long = [
        f"{path.relative_to(ROOT)}: {length} lines"
        for path in modules()
        if (length := len(path.read_text().splitlines())) > MODULE_LINES
    ]

    assert [] == long


def test_every_module_says_its_job() -> None:
    """The first line of a module is its docstring."""
    silent = [str(path.relative_to(ROOT)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]

    assert [] == silent


def test_every_module_lists_its_public_names() -> None:
    """What others may import stands in `__all__`."""
    without = [str(path.relative_to(ROOT)) for path in modules() if public_names(path) is None]

    assert [] == without


def test_every_public_name_exists() -> None:
    """A name in `__all__` is defined in its module, or given by the module's own `__getattr__`."""
    missing = [
        f"{name_of(path)}.{name}"
        for path in modules()
        for name in public_names(path) or []
        if name not in defined_names(path) and not hasattr(importlib.import_module(name_of(path)), name)
    ]

    assert [] == missing


def test_every_package_is_installed() -> None:
    """Each folder of modules is in the list that setuptools builds from."""
    folders = {
        name_of(path / "__init__.py")
        for room in ROOMS
        for path in [ROOT / room, *(ROOT / room).rglob("*")]
        if path.is_dir() and any(path.glob("*.py"))
    }

    assert folders == set(project()["tool"]["setuptools"]["packages"])


def test_every_file_is_installed() -> None:
    """What lies in the rooms, data files included, is where the package was installed."""
    home = Path(wattbench.__file__).parent
    files = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix != ".pyc")
    names = (path.relative_to(ROOT) for path in files)
    missing = [str(name) for name in names if not (home / str(name).removeprefix("api/")).is_file()]

    assert [] == missing


def test_every_test_states_its_fact() -> None:
    """Each test has a docstring of one line."""
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in functions(path)
        if node.name.startswith("test_") and len((ast.get_docstring(node) or "").splitlines()) != 1
    ]

    assert [] == silent


def test_version_and_changelog_agree() -> None:
    """The newest version in the changelog is the package's."""
    versions = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert project()["project"]["version"] == versions[0]


def test_every_requirement_is_pinned() -> None:
    """Whatever the package and its extras ask for has a tested version."""
    table = project()["project"]
    asked = [*table["dependencies"], *(line for extra in table["optional-dependencies"].values() for line in extra)]
    names = {re.split(r"[^\w.-]", line)[0].lower() for line in asked}
    files = (ROOT / "constraints" / name for name in ("tested.txt", "edge.txt"))
    pins = [pin for file in files for pin in re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)]

    assert set() == names - {pin.lower() for pin in pins}


def test_every_doubt_is_documented() -> None:
    """docs/protocol.md describes each doubt code."""
    text = page("protocol.md")

    assert [] == [code for code in DOUBT_CODES if f"`{code}`" not in text]


@pytest.mark.parametrize(("group", "name"), [("backends", "backends.md"), ("samplers", "power.md")])
def test_every_plugin_is_documented(group: str, name: str) -> None:
    """Each built-in backend and sampler has its place in docs/."""
    text = page(name)

    assert [] == [
        plugin for plugin in project()["project"]["entry-points"][f"wattbench.{group}"] if f"`{plugin}`" not in text
    ]


def test_every_option_is_documented() -> None:
    """docs/cli.md names every long option of every command."""
    parameters = [parameter for command in command_line().values() for parameter in command.params]
    options = {word for parameter in parameters for word in parameter.opts if word.startswith("--")}

    assert set() == options - set(re.findall(r"--[\w-]+", page("cli.md")))


def test_every_command_is_documented() -> None:
    """docs/cli.md names every command."""
    text = page("cli.md")

    assert [] == [name for name in command_line() if name not in text]


def test_the_index_lists_every_page() -> None:
    """docs/README.md links to each page below docs/."""
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    linked = set(re.findall(r"\]\(([^)#]+)", page("README.md")))

    assert set() == pages - linked


def test_links_between_files_lead_somewhere() -> None:
    """Every relative link in a Markdown file names a file, and a heading where it names one."""
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        if "://" not in target and not leads_somewhere(path, target)
    ]

    assert [] == dead


def leads_somewhere(path: Path, target: str) -> bool:
    """Return whether a link from a Markdown file names an existing file and heading."""
    name, _, anchor = target.partition("#")
    aim = path if not name else path.parent / name
    if not aim.exists():
        return False
    if not anchor or aim.suffix != ".md":
        return True
    headings = re.findall(r"^#+ (.+)$", aim.read_text(), re.MULTILINE)
    return anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_no_file_names_a_folder_of_one_machine() -> None:
    """Paths of the machine where something was written are of no use elsewhere."""
    traces = re.compile(
        "|".join((r"(?<![\w.])/wo" + "rk/", "/tmp/d" + "ev", "/ro" + "ot/", r"/ho" + r"me/(?!ann\b|user\b)"))
    )
    found = []
    for path in tracked_files():
        match = traces.search(path.read_bytes().decode("utf-8", errors="replace"))
        if match:
            found.append(f"{path.relative_to(ROOT)}: {match[0]}")

    assert [] == found
