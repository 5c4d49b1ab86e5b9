"""`--plot FILE` of the commands that draw: the option, and writing the files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wattbench.results.errors import StorageError, UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_option", "write_plots"]

FORMATS = ("png", "svg")


def plot_option(function: Callable[..., Any]) -> Callable[..., Any]:  # any: what click gives
    """Add --plot FILE, repeatable, to a command as `plots`; a suffix that is not drawn is refused at once."""
    text = (
        "Draw it into FILE (PNG or SVG by suffix; folders are made, a file there is replaced); may be repeated. Needs \
wattbench[plots]."
    )
    return click.option("--plot", "plots", type=Path, multiple=True, metavar="FILE", callback=_checked, help=text)(
        function
    )


def write_plots(plots: Sequence[Path], draw: Callable[[], "Figure"]) -> None:
    """Draw once, and write every file that was asked for; nothing is loaded or drawn where none was.

    Raises UsageError where matplotlib is missing or there is nothing to draw, StorageError for a place that takes none.
    """
    if not plots:
        return
    from wattbench.results.files import put_file
    from wattbench.results.plots.sheet import figure_bytes

    figure = draw()
    for path in plots:
        data = figure_bytes(figure, path.suffix[1:].lower())
        try:
            put_file(path, data)
        except StorageError as exc:
            raise StorageError(exc.what, exc.why, "Choose a place that you may write to with --plot.") from exc
        click.echo(f"plot written: {path}", err=True)


def _checked(context: click.Context, parameter: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        if path.suffix[1:].lower() not in FORMATS:
            why = f"the suffix {path.suffix!r} names no form that is drawn" if path.suffix else "it has no suffix"
            raise UsageError(f"--plot {path} cannot be drawn", why, "Name a file that ends in .png or .svg.")
    return paths
