"""`bench report --store`: a store's leaderboards as a folder of pages for any web server, or for none."""

import json
import os
import re
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from wattbench.harness.cli.indexing import opened_store, refreshed
from wattbench.harness.cli.output import print_json, print_lines
from wattbench.harness.knobs import user_path
from wattbench.results.errors import StorageError, UsageError
from wattbench.results.index.database import IndexDatabase
from wattbench.results.report.html import site_html
from wattbench.results.report.site import WAYS, site_pages
from wattbench.results.report.site_data import SiteData, gather
from wattbench.results.report.site_files import DATA_FILES, site_files

__all__ = ["write_site"]

MANIFEST = "site.json"
KIND = "wattbench-site"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*\.(html|csv|json|parquet)")
"""What files of a site are called: a list that somebody changed can name no other ones."""


def write_site(store: str, out: str, *, as_json: bool) -> int:
    """Write the site of a store into a folder, a new one, an empty one or that of an older site; return the exit code.

    Pages of an older site that this one does not have are deleted, and nothing else is. Raises UsageError and
    StorageError.
    """
    folder = _folder(out)
    with opened_store(store) as opened:
        refreshed(opened)
        old = _old_files(folder)
        index = opened.place.index
        with index.reading():
            data = gather(index)
            try:
                _announce(folder, old, data)
                sizes = _written(folder, index, data)
                for name in old - sizes.keys():
                    (folder / name).unlink(missing_ok=True)
            except OSError as exc:
                why, remedy = exc.strerror or str(exc), "Choose a place that you may write to."
                raise StorageError(f"Cannot write the site {folder}", why, remedy) from exc
    pages = sum(name.endswith(".html") for name in sizes)
    total = sum(sizes.values())
    if as_json:
        counts = {"boards": len(data.boards), "lines": len(data.groups), "results": data.results, "ranked": data.ranked}
        print_json({"kind": "derived", "site": str(folder), "pages": pages, "size_bytes": total, **counts})
    else:
        print_lines(
            [
                f"site            {folder / 'index.html'} ({pages} pages, {total / 1000:.0f} kB with the data files)",
                f"boards          {len(data.boards)} of {data.ranked} ranked results ({data.results} in the store)",
            ]
        )
    return 0


def _folder(out: str) -> Path:
    """Return the folder of a site. Raises UsageError for one that has something else in it."""
    folder = user_path("--out", out)
    assert folder is not None, "the option is required"
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {out} cannot be the folder of a site", "it is a file", "Name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        why = f"it holds other files, and no {MANIFEST} of an older site"
        raise UsageError(f"--out {out} cannot be the folder of a site", why, "Name a new folder or an empty one.")
    return folder


def _old_files(folder: Path) -> set[str]:
    """Return the files of the site that lies in a folder, as its list says. Raises UsageError for a list of others."""
    if not (folder / MANIFEST).is_file():
        return set()
    try:
        known = json.loads((folder / MANIFEST).read_bytes())
        if known["kind"] == KIND:
            return {str(name) for name in known["files"] if NAME.fullmatch(str(name))}
        raise ValueError(known["kind"])
    except (OSError, ValueError, TypeError, KeyError) as exc:
        why = "it is not the list of a site's files that this program writes"
        remedy = "Name a new folder, or delete the old one."
        raise UsageError(f"{folder / MANIFEST} cannot be used", why, remedy) from exc


def _announce(folder: Path, old: set[str], data: SiteData) -> None:
    """List what lies in the folder and what will, so that a site that was not finished can be written anew."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {name for name, _ in site_pages(data, "")}
    _put(folder / MANIFEST, [_manifest(old | pages | set(DATA_FILES))])


def _written(folder: Path, index: IndexDatabase, data: SiteData) -> dict[str, int]:
    """Write all files of a site, its final list last; return their sizes by name."""
    sizes: dict[str, int] = {}
    for name, text in site_html(site_pages(data, version("wattbench")), WAYS):
        sizes[name] = _put(folder / name, [text.encode()])
    for name, pieces in site_files(index, data):
        sizes[name] = _put(folder / name, pieces)
    _put(folder / MANIFEST, [_manifest(sizes)])
    return sizes


def _manifest(sizes: Iterable[str]) -> bytes:
    listed = {"kind": KIND, "wattbench": version("wattbench"), "files": sorted(sizes)}
    return json.dumps(listed, indent=1).encode()


def _put(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file under a temporary name first; return its size. Readers see the old one or the new one."""
    part = path.with_name(f".{path.name}.part")
    size = 0
    try:
        with part.open("wb") as sink:
            for piece in pieces:
                size += sink.write(piece)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return size
