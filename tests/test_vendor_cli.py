"""`bench vendor` on the package's database and the example results."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from wattbench.harness.cli.group import bench
from wattbench.results.errors import DocumentError, UsageError
from wattbench.results.files import write_result
from wattbench.results.vendor.match import Identity

EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "results").glob("*.json"))
GB = "NVIDIA L4"


def call(*arguments: str) -> Result:
    """Run `bench vendor` in this process; its errors rise."""
    return CliRunner().invoke(bench, ["vendor", *arguments], standalone_mode=False, catch_exceptions=False)


@pytest.fixture
def on_l4(factories: ModuleType, tmp_path: Path) -> Path:
    """Give the file of a run on an L4 with energies of its board."""
    backend = replace(
        factories.make_backend(), mock=False, device="cuda:0", device_name=GB, precision_effective="bfloat16"
    )
    path = tmp_path / "l4.json"
    write_result(factories.make_result(backend=backend, doubts=()), path)
    return path


def test_list_has_every_accelerator() -> None:
    """One line an accelerator, or those of one maker, in any case."""
    whole, apple = call("list"), call("list", "--vendor", "apple")

    assert 89 == len(whole.output.splitlines())
    assert "h100-sxm5" in whole.output
    assert {"Apple"} == {line.split()[1] for line in apple.output.splitlines()[1:]}


def test_list_marks_what_is_not_the_makers_word() -> None:
    """A figure that was copied is marked; a missing one is a dash."""
    line = next(text for text in call("list").output.splitlines() if text.startswith("mi325x"))

    assert "~6,000" in line
    assert line.split()[-2] == "-"


def test_list_for_machines() -> None:
    """--json gives every field of every accelerator."""
    rows = json.loads(call("list", "--json").output)

    assert 88 == len(rows)
    assert 989e12 == next(r for r in rows if r["key"] == "h100-sxm5")["dense_flops_per_s"]["bfloat16"]["value"]


def test_show_tells_sources_prices_and_conflicts() -> None:
    """Each figure stands with its source, grade and date, and where sources differ all of them."""
    text = call("show", "B200 SXM 180GB").output

    assert "7.7 TB/s  [aiconfigurator, vendor, 2026-08-21" in text
    assert "W, not measured" in text
    assert "7.7e+12 (aiconfigurator), 8e+12 (inferencex), 7.672e+12 (torchao" in text
    assert "https://github.com/ai-dynamo/aiconfigurator" in text


@pytest.mark.parametrize("key", ["cerebras-cs3", "xeon-spr", "m4-max", "mtia-500", "trainium2", "dimensity-9500"])
def test_show_of_the_odd_ones(key: str) -> None:
    """Systems, processors, phones and chips of ranges and unstated sparsity are shown too."""
    assert f"({key};" in call("show", key).output


def test_show_keeps_long_labels_apart_from_figures() -> None:
    """A label as long as its column does not run into its figure."""
    assert "dense or sparse? bfloat16 3.5 PFLOP/s" in call("show", "mtia-450").output


def test_show_for_machines() -> None:
    """--json gives the accelerator, its conflicts and the sources that they name."""
    found = json.loads(call("show", "rtx-4090", "--json").output)

    assert "rtx-4090" == found["accelerator"]["key"]
    assert 3 == len(found["conflicts"])
    assert {"gigagpu", "waredb", "lightning"} <= set(found["sources"])


def test_an_unknown_accelerator_is_refused() -> None:
    """A slip is answered with the nearest, and exit code 2 outside of tests."""
    with pytest.raises(UsageError, match="Did you mean 'mi300x'"):
        call("show", "mi300")
    with pytest.raises(UsageError, match="Unknown vendor"):
        call("list", "--vendor", "acme")


def test_match_a_name() -> None:
    """A driver's name, a PCI id: recognised with 0, unknown with 1."""
    known, by_id, unknown = call("match", "NVIDIA H100 PCIe"), call("match", "10de:2330"), call("match", "H100")

    assert (0, 0, 1) == (known.return_value, by_id.return_value, unknown.return_value)
    assert "h100-pcie: NVIDIA H100 PCIe 80GB, by the name; name unverified" in known.output
    assert "h100-sxm5: NVIDIA H100 SXM5 80GB, by its PCI id" in by_id.output
    assert "near to it, but not taken" in unknown.output


def test_match_the_devices_at_hand() -> None:
    """Without a text the machine is asked: its processor is there, and the answer is 0 where any device is known."""
    found = json.loads(call("match", "--json").output)
    asked = call("match")

    assert int(all(row["key"] is None for row in found)) == asked.return_value
    assert {"cpu", "apple"} & {row["identity"]["kind"] for row in found}


@pytest.mark.parametrize(("key", "code"), [("l4", 0), (None, 1)])
def test_match_says_by_its_code_whether_a_device_is_known(
    monkeypatch: pytest.MonkeyPatch, key: str | None, code: int
) -> None:
    """One known device among several is 0, none is 1, as with a text."""
    names = ["NVIDIA L4" if key else "NVIDIA X4", "who knows"]
    found = tuple(Identity(kind="nvml", value=name) for name in names)
    monkeypatch.setattr("wattbench.harness.cli.vendor.matching.identities", lambda: found)

    assert code == call("match").return_value


def test_claims_of_one_and_of_a_model() -> None:
    """Claims stand with their conditions, source and grade."""
    groq, llama = call("claims", "groq-lpu1").output, call("claims", "--model", "llama3.1-8b").output

    assert "300 tokens/s per user" in groq
    assert all("Llama-3.1-8B" in line for line in llama.splitlines())
    with pytest.raises(UsageError, match="no such claim"):
        call("claims", "l4", "--model", "gpt2")


def test_check_of_a_run_on_a_known_device(on_l4: Path) -> None:
    """The shares of peak, bandwidth and nameplate are printed with what they are of."""
    text = call("check", str(on_l4)).output

    assert "'NVIDIA L4' is NVIDIA L4 (l4), by its name" in text
    assert "bfloat16 products, whole window" in text
    assert "121 TFLOP/s" in text
    assert "not compared: BERT-large: MLPerf Inference v3.0" in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_check_of_the_examples(path: Path) -> None:
    """The examples ran on a processor that no vendor's entry names: unknown, and nothing is compared."""
    text = call("check", "--allow-invalid", str(path)).output

    assert "the device is unknown: 'Intel(R) Xeon(R) Processor' is not listed" in text
    assert "0 of 0 claims compared" in text


def test_check_against_a_named_accelerator() -> None:
    """The user may name what a result does not: then the claims are listed, beside what the result says itself."""
    text = call("check", "--accelerator", "xeon-spr", str(EXAMPLES[1])).output

    named = "held against Intel Xeon 4th gen (Sapphire Rapids) (xeon-spr), which you named; "
    assert f"{named}the result's device is 'Intel(R) Xeon(R) Processor', which is not listed" in text
    assert "not compared" in text


def test_check_against_another_accelerator_than_the_results(on_l4: Path) -> None:
    """A share of another accelerator's claims says nothing of the one that ran, and so it is said; the same is fine."""
    other = call("check", "--accelerator", "l40s", str(on_l4)).output
    same = call("check", "--accelerator", "l4", str(on_l4)).output

    assert "the result's device is 'NVIDIA L4', which is l4: no share below says anything of it" in other
    assert "the result's device is 'NVIDIA L4', which is the same" in same


def test_check_in_other_forms(on_l4: Path) -> None:
    """CSV and Markdown have a row for each claim, JSON names the result by its digest."""
    rows = list(csv.reader(io.StringIO(call("check", "--format", "csv", str(on_l4)).output)))
    markdown = call("check", "--format", "markdown", str(on_l4)).output
    found = json.loads(call("check", "--json", str(on_l4)).output)

    assert {8} == {len(row) for row in rows}
    assert len(rows) - 1 == len(found[0]["claims"])
    assert "| result | claim of |" in markdown
    assert found[0]["of"].startswith("sha256:")
    assert "derived" == found[0]["kind"]


def test_check_refuses_an_invalid_result(factories: ModuleType, tmp_path: Path) -> None:
    """A mock's run is checked on request only, and every form then says so."""
    path = tmp_path / "mock.json"
    write_result(factories.make_result(), path)
    with pytest.raises(DocumentError, match="mock: the backend is a mock"):
        call("check", str(path))

    for form in ("table", "csv", "markdown"):
        assert "NOT TO BE QUOTED" in call("check", "--allow-invalid", "--format", form, str(path)).output
    assert json.loads(call("check", "--allow-invalid", "--json", str(path)).output)[0]["warnings"]
