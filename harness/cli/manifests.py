"""The manifest of a sweep among files that are to be results, as `sweep/*.json` names it."""

import shlex
from pathlib import Path
from typing import TypeVar

import click

from wattbench.harness.cli.escape import visible
from wattbench.harness.sweep.folder import MANIFEST, Folder
from wattbench.results.errors import DocumentError

__all__ = ["without_manifests"]

Name = TypeVar("Name", str, Path)


def without_manifests(ctx: click.Context, param: click.Parameter, names: tuple[Name, ...]) -> tuple[Name, ...]:
    """Return the files without manifests of sweeps, each said on standard error; one that stands alone is kept."""
    manifests = [name for name in names if _is_manifest(Path(name))]
    if len(manifests) == len(names):
        return names  # whoever opens it says what it is
    for name in manifests:
        show = f"bench sweep --show {shlex.quote(str(Path(name).parent))}"
        click.echo(f"Left out: {visible(str(name))} is the manifest of a sweep; its table: {visible(show)}", err=True)
    return tuple(name for name in names if name not in manifests)


def _is_manifest(path: Path) -> bool:
    if path.name != MANIFEST:
        return False
    try:
        Folder.open(path.parent)
    except DocumentError:
        return False
    return True
