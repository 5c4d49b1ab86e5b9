"""Pages as HTML: the only file that knows Jinja2, loaded when a page is written.

Every text is escaped, and what cannot be seen is shown as an escape. A page loads nothing: its style and scripts are in
it, and its policy (CSP) allows those by their digests and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattbench.results.errors import UsageError
from wattbench.results.report.blocks import Link, Links, Page
from wattbench.results.visible import visible

if TYPE_CHECKING:
    import jinja2

__all__ = ["page_html", "render", "site_html"]

HERE = Path(__file__).parent
TRACE_STYLE, TRACE_SCRIPTS = "uplot.css", ("uplot.js", "trace.js")
STYLE, SCRIPT, FILTER = "page.css", "page.js", "filter.js"

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What could end a script element, or a line of JavaScript, inside JSON."""

NAME = re.compile(r"[^A-Za-z0-9._-]+")


def page_html(page: Page) -> str:
    """Return a page of one result or several. Raises UsageError where Jinja2 is missing."""
    traces = any(chart.samples is not None for chart in page.charts())
    styles = (STYLE, TRACE_STYLE) if traces else (STYLE,)
    scripts = (*TRACE_SCRIPTS, SCRIPT) if traces else (SCRIPT,)
    return render("report.html", {"page": page}, styles=styles, scripts=scripts)


def site_html(pages: Iterable[tuple[str, Page]], ways: Sequence[Link]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each page of a site; `ways` are the pages that every page leads to.

    Raises UsageError where Jinja2 is missing.
    """
    dress = _dress((STYLE,), (FILTER, SCRIPT))
    template = _environment().get_template("site.html")
    for name, page in pages:
        links = tuple(replace(link, here=link.page == name) for link in ways)
        yield name, template.render({**dress, "page": page, "ways": Links(label="Pages", links=links)})


def render(
    template: str,
    context: Mapping[str, object],
    *,
    styles: Sequence[str] = (STYLE,),
    scripts: Sequence[str] = (SCRIPT,),
) -> str:
    """Return a template of results/report/templates filled in, with files of assets/ as its style and its scripts.

    The policy is made of their digests: a template has no other style or script, and no attribute that is one. Raises
    UsageError where Jinja2 is missing.
    """
    return _environment().get_template(template).render({**context, **_dress(styles, scripts)})


def _dress(styles: Sequence[str], scripts: Sequence[str]) -> dict[str, object]:
    """Return what base.html needs: the style, the scripts, and the policy that allows them."""
    style = "\n".join(_asset(name) for name in styles)
    texts = [_asset(name) for name in scripts]
    return {"style": style, "scripts": texts, "policy": _policy(style, texts)}


def _policy(style: str, scripts: Sequence[str]) -> str:
    allowed = " ".join(map(_source, scripts)) or "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source(style)}",
            f"script-src {allowed}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _source(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    try:
        import jinja2
    except ImportError as exc:
        raise UsageError(
            "No page can be written", "Jinja2 is not installed", "Install it: pip install 'wattbench[report]'"
        ) from exc
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embedded"] = _embedded
    environment.filters["lines"] = _lines
    environment.filters["data_url"] = _data_url
    environment.filters["file_name"] = _file_name
    return environment


def _finalize(value: object) -> object:
    """Return text with what cannot be seen as escapes; Markup is ours and stays."""
    return visible(value) if type(value) is str else value


def _lines(text: str) -> Any:  # any: jinja2's Markup
    """Return text of several lines, each of them made safe."""
    import markupsafe

    return markupsafe.Markup("\n").join(visible(line) for line in text.split("\n"))


def _embedded(value: object) -> Any:  # any: jinja2's Markup
    """Return JSON that can stand in a script element: no character of it can end that."""
    import markupsafe

    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return markupsafe.Markup("".join(ESCAPES.get(c, c) for c in text))


def _data_url(data: bytes, media: str) -> str:
    return f"data:{media};base64,{base64.b64encode(data).decode()}"


def _file_name(name: str) -> str:
    """Return a name that is one on every system."""
    return NAME.sub("_", name)[-120:].lstrip(".") or "file"
