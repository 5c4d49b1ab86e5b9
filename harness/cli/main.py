"""The entry point of `bench`: answers the bare help at once, hands everything else to click, explains errors."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code; one of our errors is printed once, without a traceback."""
    if sys.argv[1:] in ([], ["-h"], ["--help"]):
        sys.stdout.write(help_text())
        sys.exit(0)
    sys.exit(call_click())


def help_text() -> str:
    """Return the text of `bench --help`: a file that the tests compare with click's own, so that click can wait."""
    with open(__file__.removesuffix("main.py") + "help.txt", encoding="utf-8") as file:
        return file.read()


def call_click() -> int:
    """Parse and run a command; return the exit code."""
    import click

    from wattbench.harness.cli.group import bench
    from wattbench.results.errors import UsageError, WattbenchError

    try:
        code = bench(standalone_mode=False)
    except click.exceptions.Abort:
        return 1
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except WattbenchError as exc:
        if "--debug" in sys.argv:
            raise
        click.echo(f"Error: {exc}", err=True)
        return 2 if isinstance(exc, UsageError) else 1
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
