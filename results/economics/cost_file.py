"""The text of cost.yaml as plain values: read safely, with no key twice in one place."""

import re
from typing import Any

from wattbench.results.errors import UsageError

__all__ = ["FILE", "SIZE_MAX", "load_sections", "wrong"]

FILE = "cost.yaml"
SIZE_MAX = 1_000_000

EXPONENT = re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$")
"""What YAML 1.1 takes for text and everybody else for a number: 1e6, 6.0e6."""


DECIMAL = re.compile(r"^[-+]?(0|[1-9][0-9_]*)$")
"""What an integer looks like to everybody."""


def load_sections(text: str, name: str = FILE) -> dict[str, Any]:  # any: what a stranger's YAML holds
    """Return the sections of a cost file by name; an empty file has none. Raises UsageError for any other file."""
    document = _load(text, name)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise wrong(name, "it holds no sections", "Start from `bench cost init`.")
    return {str(section): fields for section, fields in document.items() if fields is not None}


def wrong(name: str, why: str, remedy: str) -> UsageError:
    """Return the error for a file that cannot be used."""
    return UsageError(f"{name} cannot be used", why, remedy)


def _load(text: str, name: str) -> Any:  # any: what a stranger's YAML holds
    import yaml

    class Loader(yaml.SafeLoader):
        """The safe loader, refusing a key that stands twice in one mapping."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    raise wrong(name, f"{key!r} stands twice in one place", "Keep one of them.")
            return super().construct_mapping(node, deep=deep)

        def construct_decimal(self, node: Any) -> Any:
            """Return an integer, refusing what YAML 1.1 reads otherwise than it looks: 1:30 is 90, and 010 is 8."""
            if not DECIMAL.match(node.value):
                raise wrong(
                    name, f"{node.value!r:.40} is no decimal number", "Write it in decimal digits: 90, 0.5, 1e6."
                )
            return self.construct_yaml_int(node)

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_decimal)
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", EXPONENT, list("-+0123456789"))

    if len(text) > SIZE_MAX:
        raise wrong(name, f"it has {len(text)} characters", f"A cost file has at most {SIZE_MAX}.")
    try:
        return yaml.load(text, Loader=Loader)
    except RecursionError as exc:
        raise wrong(name, "it is nested too deeply", "Start from `bench cost init`.") from exc
    except (yaml.YAMLError, ValueError) as exc:
        why = " ".join(str(exc).split()) or type(exc).__name__
        raise wrong(name, f"it is not YAML: {why}", "Start from `bench cost init`.") from exc
