"""What is wrong with an endpoint's key, files, address or server is told before the first idle window."""

import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from endpoint_server import Behaviour, endpoint_server

from wattbench.backends.endpoint.target import make_target
from wattbench.backends.endpoint.tokenizer_folder import check_tokenizer
from wattbench.harness.cli.group import bench
from wattbench.harness.serving.process import require_program
from wattbench.results.errors import UsageError
from wattbench.results.files import read_result

NOWHERE = "http://127.0.0.1:9"


def run(out: Path, *words: str) -> Result:
    """Return how a run of an endpoint ended; its result, if it has one, lies at `out`."""
    return CliRunner().invoke(bench, ["run", "-q", "-o", str(out), *words], standalone_mode=False)


@pytest.fixture(name="no_idle", autouse=True)
def _no_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a run that comes to an idle window."""

    def idle(*_: object, **__: object) -> None:
        raise AssertionError("an idle window began")

    monkeypatch.setattr("wattbench.harness.runner.idle_window", idle)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--key-env", "WATTBENCH_TEST_NO_KEY"), "There is no key in WATTBENCH_TEST_NO_KEY"),
        (("--key-file", "/nowhere/key"), "/nowhere/key"),
        (("--ca-file", "/nowhere/ca.pem"), "Cannot use the CA file /nowhere/ca.pem"),
        (("--tokenizer", "/nowhere/tokenizer"), "there is no such folder"),
        (("--tokenizer", str(Path(__file__).parent)), "the folder holds none of tokenizer.json"),
        (("--server-command", "no-such-server --port 9"), "--server-command names no program: no-such-server"),
    ],
)
def test_what_is_not_there_leaves_no_result(tmp_path: Path, words: tuple[str, ...], what: str) -> None:
    """Nothing was started, so there is nothing to keep."""
    url = NOWHERE.replace("http", "https") if "--ca-file" in words else NOWHERE
    ended = run(tmp_path / "r.json", "--endpoint", url, *words)

    assert isinstance(ended.exception, UsageError)
    assert what in str(ended.exception)
    assert ended.exception.remedy
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """The result of the failed run says in which phase."""
    run(tmp_path / "r.json", "--endpoint", NOWHERE, "--model", "x")
    error = read_result(tmp_path / "r.json").error
    assert error is not None

    assert ("server", "DeviceError") == (error.phase, error.kind)


def test_a_wrong_model_is_told_at_once(tmp_path: Path) -> None:
    """The server's list is in the error."""
    with endpoint_server(Behaviour(models=("one", "two"))) as url:
        run(tmp_path / "r.json", "--endpoint", url, "--model", "three")
    error = read_result(tmp_path / "r.json").error
    assert error is not None

    assert ("server", "UsageError") == (error.phase, error.kind)
    assert "one, two" in error.why


def test_a_place_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    """A server of one's own is not started beside another one, and nobody waits for the idle window to hear it."""
    command = shlex.join([sys.executable, "-c", "import time; time.sleep(600)"])
    with endpoint_server(Behaviour()) as url:
        run(tmp_path / "r.json", "--endpoint", url, "--server-command", command)
    error = read_result(tmp_path / "r.json").error
    assert error is not None

    assert ("server", "--server-command cannot start its server") == (error.phase, error.what)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("HF_TOKEN=x", "there is no shell"),
        ("./not/there", "there is no such file"),
        (__file__, "it may not be executed"),
        ("no-such-program", "in no folder of PATH"),
    ],
)
def test_programs_that_cannot_be_started(program: str, why: str) -> None:
    """Each says what is wrong with it."""
    with pytest.raises(UsageError) as caught:
        require_program((program, "--port", "1"))

    assert why in caught.value.why


def test_a_program_that_can_be_started_is_none_of_our_business() -> None:
    """By its path, or by its name in PATH."""
    require_program((sys.executable,))
    require_program(("sh", "-c", "true"))


def test_a_tokenizer_that_cannot_be_read_is_told_in_our_words(tmp_path: Path) -> None:
    """What the library says of its inner troubles is not repeated."""
    pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError) as caught:
        check_tokenizer(str(tmp_path))

    assert caught.value.what == f"No tokenizer at {str(tmp_path)!r}"
    assert caught.value.why.startswith("transformers reads none from the files there (")
    assert "save_pretrained" in caught.value.remedy


@pytest.mark.parametrize(
    ("url", "api", "path"),
    [
        ("http://h:1", "chat", "/v1/chat/completions"),
        ("http://h:1/v1/chat/completions", "chat", "/v1/chat/completions"),
        ("http://h:1/v1/chat/completions/", "chat", "/v1/chat/completions"),
        ("http://h:1/v1/completions", "completions", "/v1/completions"),
        ("http://h:1/v1/models", "chat", "/v1/chat/completions"),
        ("http://h:1/openai/v1", "completions", "/openai/v1/completions"),
        ("http://h:1/proxy/chat/completions", "chat", "/proxy/chat/completions"),
    ],
)
def test_the_address_of_a_call_is_that_of_its_server(url: str, api: str, path: str) -> None:
    """Documentations show whole addresses; what an API's own calls add is not added twice."""
    assert path == make_target(url, api=api, model="m").path


@pytest.mark.parametrize(
    ("url", "api", "remedy"),
    [
        ("http://h:1/v1/chat/completions", "completions", "Give --api chat, or http://h:1/v1."),
        ("http://h:1/v1/completions", "chat", "Give --api completions, or http://h:1/v1."),
        ("http://h:1/v1/responses", "chat", "Give http://h:1/v1: requests go to /chat/completions below it."),
        ("http://h:1/v2/models/bert/infer", "kserve", "Give http://h:1, and the model by --model."),
    ],
)
def test_the_address_of_other_calls_is_refused(url: str, api: str, remedy: str) -> None:
    """What to give instead is in the message."""
    with pytest.raises(UsageError) as caught:
        make_target(url, api=api, model="m")

    assert remedy == caught.value.remedy
