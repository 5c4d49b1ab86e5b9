"""Write every golden file anew: run it after a wanted change, and read the difference as part of the review."""

from pathlib import Path

import factories
from click.testing import CliRunner

from wattbench.harness.cli.figures import result_lines
from wattbench.harness.cli.group import bench
from wattbench.harness.device_status import markdown_lines
from wattbench.results.codec import schema_text
from wattbench.results.files import read_result, write_result
from wattbench.results.index.schema import index_schema_text

ROOT = Path(__file__).parent.parent
GOLDEN = ROOT / "tests" / "data" / "golden"


def main() -> None:
    """Write the schemas, the golden result, its text, the text of `bench --help`, and README's table of devices."""
    (ROOT / "results" / "result.schema.json").write_text(schema_text())
    (ROOT / "results" / "index" / "index.schema.json").write_text(index_schema_text())
    write_result(factories.make_result(), factories.GOLDEN)
    lines = result_lines(read_result(factories.GOLDEN))
    (GOLDEN / "result-v1.txt").write_text("\n".join(lines) + "\n")
    help_text = CliRunner().invoke(bench, ["--help"], prog_name="bench", terminal_width=100).output
    (ROOT / "harness" / "cli" / "help.txt").write_text(help_text)
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition("<!-- devices -->\n")
    after = rest.partition("<!-- end devices -->")[2]
    table = "\n".join(markdown_lines())
    readme.write_text(f"{before}<!-- devices -->\n{table}\n<!-- end devices -->{after}")


if __name__ == "__main__":
    main()
