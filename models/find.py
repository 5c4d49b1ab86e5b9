"""Finding loads by name in the built-in catalogue and in those of installed plug-ins."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeVar

from wattbench.models.configurations import dimensions
from wattbench.models.lengths import MARK, with_lengths
from wattbench.models.load import Load, ModelSpec, RequestShape
from wattbench.models.read import read_model, read_shape
from wattbench.models.served import SERVED, served_model
from wattbench.results.errors import UsageError, WattbenchError
from wattbench.results.plugins import nearest_lines, points_of

__all__ = [
    "GROUP",
    "Catalogue",
    "catalogue_directories",
    "find_load",
    "list_loads",
    "read_catalogue",
    "read_model",
    "read_shape",
]

GROUP = "wattbench.loads"
"""The entry point group: each point is a function without arguments that returns a folder with models/ and shapes/."""

T = TypeVar("T")

_BUILT_IN = "wattbench.models.catalogue:directory"
_DEFAULT_SHAPES = ("chat", "classify-128", "image-224", "transcribe", "translate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All sensible loads, sorted by name, and what is wrong with files and plug-ins that could not be read."""

    loads: tuple[Load, ...]
    problems: tuple[WattbenchError, ...]


def catalogue_directories() -> tuple[Path, ...]:
    """Return the folders of all catalogues, the built-in one first; a plug-in that cannot be imported is left out.

    `read_catalogue` names the ones left out.
    """
    return tuple(_directories([]))


def read_catalogue() -> Catalogue:
    """Return every load of every catalogue; a broken file or plug-in becomes a problem and hides no other load."""
    problems: list[WattbenchError] = []
    directories = _directories(problems)
    models = _read_all(_files(directories, "models", problems), read_model, problems)
    shapes = _read_all(_files(directories, "shapes", problems), read_shape, problems)
    loads = []
    for model in models:
        try:
            loads += [Load(model=model, shape=shape) for shape in shapes if _misfit(model, shape) is None]
        except WattbenchError as exc:
            problems.append(exc)
    return Catalogue(loads=tuple(sorted(loads, key=lambda load: load.name)), problems=tuple(problems))


def list_loads() -> tuple[Load, ...]:
    """Return all sensible loads, sorted by name; `read_catalogue` also tells what could not be read."""
    return read_catalogue().loads


def find_load(name: str) -> Load:
    """Return the load "MODEL/SHAPE"; a bare "MODEL" means its default shape, the first of its family that fits.

    "MODEL/SHAPE@INPUT" and "MODEL/SHAPE@INPUTxOUTPUT" are the same shape with other lengths: loads of their own, with
    a digest of their own. "served/SHAPE" is the shape on whatever model an endpoint serves.

    Raises UsageError with the nearest known names for an unknown model or shape, with the model's shapes for a
    combination that makes no sense, and with file and key when the model's or shape's own file is broken.
    """
    problems: list[WattbenchError] = []
    directories = _directories(problems)
    models = _files(directories, "models", problems)
    shapes = _files(directories, "shapes", problems)
    model_name, _, shape_name = name.partition("/")
    if model_name not in models and model_name != SERVED:
        raise _unknown("model", model_name, models, problems)
    model = served_model() if model_name == SERVED else read_model(models[model_name])
    if not shape_name:
        return Load(model=model, shape=_default_shape(model, shapes))
    base_name, mark, lengths = shape_name.partition(MARK)
    if base_name not in shapes:
        raise _unknown("request shape", base_name, shapes, problems)
    shape = read_shape(shapes[base_name])
    if mark:
        shape = with_lengths(shape, lengths)
    if model_name == SERVED and "encoder" in shape.families:
        model = served_model("encoder")
    misfit = _misfit(model, shape)
    if misfit is not None:
        fitting = ", ".join(f"{model.name}/{s.name}" for s in _fitting(model, shapes))
        raise UsageError(f"The load {name!r} makes no sense", misfit, f"This model's loads are {fitting}.")
    return Load(model=model, shape=shape)


def _directories(problems: list[WattbenchError]) -> list[Path]:
    points = sorted(points_of(GROUP), key=lambda point: (point.value != _BUILT_IN, point.name))
    return [path for point in points if (path := _directory(point, problems)) is not None]


def _directory(point: EntryPoint, problems: list[WattbenchError]) -> Path | None:
    try:
        path = Path(point.load()())
    except Exception as exc:  # noqa: BLE001  a plug-in's code may fail in any way; it becomes a named problem
        what = f"The catalogue {point.name!r} ({point.value}) cannot be opened"
        problems.append(UsageError(what, f"{type(exc).__name__}: {exc}", "Update or uninstall its package."))
        return None
    if not path.is_dir():
        problems.append(UsageError(f"The catalogue {point.name!r} ({point.value}) has no folder", str(path)))
        return None
    return path


def _files(directories: list[Path], kind: str, problems: list[WattbenchError]) -> dict[str, Path]:
    """Return the files of a kind by name; the first catalogue wins, a second file of that name is a problem."""
    found: dict[str, Path] = {}
    for directory in directories:
        for path in sorted((directory / kind).glob("*.toml")):
            if path.stem in found:
                why = f"{found[path.stem]} has that name already"
                problems.append(UsageError(f"The catalogue file {path} is ignored", why, "Rename it."))
            else:
                found[path.stem] = path
    return found


def _read_all(files: dict[str, Path], read: Callable[[Path], T], problems: list[WattbenchError]) -> list[T]:
    records = []
    for path in files.values():
        try:
            records.append(read(path))
        except WattbenchError as exc:
            problems.append(exc)
    return records


def _default_shape(model: ModelSpec, shapes: dict[str, Path]) -> RequestShape:
    preferred = sorted(shapes, key=lambda n: (_DEFAULT_SHAPES.index(n) if n in _DEFAULT_SHAPES else 99, n))
    fitting = _fitting(model, {name: shapes[name] for name in preferred})
    if not fitting:
        raise UsageError(f"No request shape fits the model {model.name!r}", "", "Add one (docs/loads.md).")
    return fitting[0]


def _fitting(model: ModelSpec, shapes: dict[str, Path]) -> list[RequestShape]:
    return [shape for shape in _read_all(shapes, read_shape, []) if _misfit(model, shape) is None]


def _misfit(model: ModelSpec, shape: RequestShape) -> str | None:
    """Return why a shape makes no sense for a model, None when it does."""
    if model.family not in shape.families:
        return f"{shape.name} is for {' and '.join(shape.families)} models, {model.name} is of family {model.family}"
    if model.name == SERVED:
        return None
    architecture = dimensions(model)
    if shape.modality != architecture.modality:
        return f"{shape.name} is made of {shape.modality}, {model.name} takes {architecture.modality}"
    fixed = architecture.positions_fixed
    if fixed is not None and shape.input_tokens != fixed:
        return f"{model.name} takes exactly {fixed} positions, {shape.name} has {shape.input_tokens}"
    context = Load(model=model, shape=shape).context_tokens
    if architecture.positions_max is not None and context > architecture.positions_max:
        return f"{shape.name} reaches {context} tokens, {model.name} has {architecture.positions_max} positions"
    if architecture.output_max is not None and shape.output_tokens > architecture.output_max:
        return f"{shape.name} has {shape.output_tokens} tokens out, {model.name} at most {architecture.output_max}"
    return None


def _unknown(what: str, name: str, known: dict[str, Path], problems: list[WattbenchError]) -> UsageError:
    why, remedy = nearest_lines(name, known)
    if problems:
        why += "; not readable: " + "; ".join(problem.what for problem in problems)
    return UsageError(f"Unknown {what} {name!r}", why, remedy or "`bench list loads` shows all loads.")
