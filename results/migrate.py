"""Old documents to the current schema, one version at a time.

History of the schema:
1. First published.

A change that is more than a new optional field raises `CURRENT`, adds the step from the version before to `UPGRADES`, a
line above, and a golden file of the version left behind (docs/result-schema.md).
"""

import re
from collections.abc import Callable, Mapping

from wattbench.results.errors import DocumentError, NewerSchemaError

__all__ = ["CURRENT", "SCHEMA_NAME", "UPGRADES", "schema_version", "upgrade"]

SCHEMA_NAME = "wattbench.result"
SWEEP_NAME = "wattbench.sweep"
"""What the manifests of sweeps call themselves, which lie among results."""

CURRENT = 1

Document = dict[str, object]
Steps = Mapping[int, Callable[[Document], Document]]

UPGRADES: Steps = {}
"""The step from each version to the next. A step gets a document without `id` and returns a new one."""


def schema_version(document: Mapping[str, object], current: int = CURRENT) -> int:
    """Return the schema version of a document.

    Raises DocumentError when it is not a wattbench result, NewerSchemaError when this wattbench is too old for it.
    """
    stated = document.get("schema")
    match = re.fullmatch(rf"{re.escape(SCHEMA_NAME)}/([1-9][0-9]{{0,5}})", stated) if isinstance(stated, str) else None
    if match is None:
        if isinstance(stated, str) and stated.startswith(f"{SWEEP_NAME}/"):
            remedy = "Give its results, the other files of the folder; `bench sweep --show FOLDER` shows its table."
            raise DocumentError("This is the manifest of a sweep", "it holds no result itself", remedy)
        why = f'its "schema" is {stated!r:.80}, not "{SCHEMA_NAME}/{current}"'
        raise DocumentError("This is not a wattbench result", why, "Give a file that `bench run` wrote.")
    version = int(match[1])
    if version > current:
        why = f"it has schema version {version}, this wattbench knows up to {current}"
        raise NewerSchemaError("This result was written by a newer wattbench", why, "Upgrade wattbench to read it.")
    return version


def upgrade(document: Document, steps: Steps = UPGRADES, current: int = CURRENT) -> Document:
    """Return the document in the current schema, upgraded one version at a time; a current one is returned as it is.

    Raises what `schema_version` raises, and DocumentError when a step is missing.
    """
    for version in range(schema_version(document, current), current):
        if version not in steps:
            why = f"schema version {version} is no longer supported"
            raise DocumentError("This result cannot be upgraded", why, "Read it with an older wattbench.")
        document = {**steps[version](document), "schema": f"{SCHEMA_NAME}/{version + 1}"}
    return document
