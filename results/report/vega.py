"""Charts as SVG: the only file that knows vl-convert, loaded when a chart is drawn.

A spec is Vega-Lite as plain dictionaries and holds its own data. Colours are variables of the page ("var(--ink)"), so
that one drawing serves light and dark. What comes back is looked at element by element before it goes into a page.
"""

import json
import re
import xml.etree.ElementTree as tree
from collections.abc import Mapping
from typing import Any

from wattbench.results.errors import DocumentError, UsageError

__all__ = ["svg_of"]

NAMESPACE = "{http://www.w3.org/2000/svg}"
ELEMENTS = frozenset({"svg", "g", "path", "text", "rect", "line", "circle", "defs", "clipPath", "title", "tspan"})
REFERENCE = re.compile(r'(\bid="|url\(#)([A-Za-z]\w*)')
"""Where an SVG names a part of itself; several of them on one page must not name theirs alike."""


def svg_of(spec: Mapping[str, Any], key: str) -> str:  # any: JSON
    """Return the SVG of a Vega-Lite spec, with the labels that readers of screens hear.

    `key` tells its parts from those of other drawings on the page. Raises UsageError where vl-convert is missing,
    DocumentError for figures that no axis holds, and ValueError for a drawing of anything but shapes and text.
    """
    try:
        import vl_convert
    except ImportError as exc:
        raise UsageError(
            "No chart can be drawn", "vl-convert is not installed", "Install it: pip install 'wattbench[report]'"
        ) from exc
    try:
        text = json.dumps(spec, allow_nan=False)
    except ValueError as exc:
        why = "a figure is too large for any axis, so no run or tool measured it"
        raise DocumentError(f"The chart {key} cannot be drawn", why, "`bench show` prints the figures.") from exc
    drawn: str = vl_convert.vegalite_to_svg(text, allowed_base_urls=[])
    _require_shapes(drawn)
    return REFERENCE.sub(rf"\g<1>{key}-\g<2>", drawn[drawn.index("<svg") :])


def _require_shapes(drawn: str) -> None:
    for element in tree.fromstring(drawn).iter():
        if element.tag.removeprefix(NAMESPACE) not in ELEMENTS:
            raise ValueError(f"a chart may not hold <{element.tag}>")
        for name in element.attrib:
            if name == "style" or name.lower().startswith("on") or name.endswith("href"):
                raise ValueError(f"a chart may not have the attribute {name}")
