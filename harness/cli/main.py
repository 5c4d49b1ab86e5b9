"""The entry point of `bench`: answers the bare help at once, hands everything else to click, explains errors."""

import sys

from wattbench.harness.cli.streams import fill_descriptors, guard_streams
from wattbench.results.errors import UsageError, WattbenchError

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its code; one of our errors is printed once, without a traceback."""
    streams = sys.stdout, sys.stderr
    fill_descriptors()
    guard_streams()
    try:
        code = answer()
    except KeyboardInterrupt:  # a second one, while the first was being answered
        code = 1
    finally:
        sys.stdout, sys.stderr = streams
    if len(sys.argv) > 1:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # from here on Ctrl-C ends the process without a traceback
    sys.exit(code)


def answer() -> int:
    """Do what the command line asks for and return the exit code; see that everything printed has arrived."""
    try:
        code = quick_help() if sys.argv[1:] in ([], ["-h"], ["--help"]) else call_click()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return interrupted()
    except BrokenPipeError:  # whoever reads us has enough
        return 1
    except WattbenchError as exc:
        if "--debug" in sys.argv:
            raise
        return explain(exc)
    return code


def quick_help() -> int:
    """Print the bare help and return 0."""
    sys.stdout.write(help_text())
    return 0


def help_text() -> str:
    """Return the text of `bench --help`: a file that the tests compare with click's own, so that click can wait."""
    with open(__file__.removesuffix("main.py") + "help.txt", encoding="utf-8") as file:
        return file.read()


def call_click() -> int:
    """Parse and run a command; return the exit code. Raises a WattbenchError for what went wrong in it."""
    import click

    from wattbench.harness.cli.group import bench

    try:
        code = bench(standalone_mode=False)
    except click.exceptions.Abort:  # click's word for Ctrl-C
        return interrupted()
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    return code if isinstance(code, int) else 0


def interrupted() -> int:
    """Say that Ctrl-C came before anything was started (a run that has started says so itself); return 1."""
    sys.stderr.write("Interrupted: nothing was started.\n")
    sys.stderr.flush()
    return 1


def explain(error: WattbenchError) -> int:
    """Print one of our errors and return its exit code."""
    from wattbench.harness.cli.escape import visible

    lines = [visible(line) for line in f"Error: {error}".split("\n")]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
    return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    main()
