"""A key in the command of a server is refused before anything is stored; names of variables and files are none."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from wattbench.harness.cli.group import bench
from wattbench.harness.serving.command_secrets import refuse_command_secrets
from wattbench.results.errors import UsageError


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("vllm serve m --api-key made-up-key", "--api-key"),
        ("vllm serve m --api-key=made-up-key --port 8000", "--api-key"),
        ("sglang --api_key 'made-up-key'", "--api_key"),
        ("llama-server -m x -hft made-up-key", "-hft"),
        ("llama-server -m x --hf-token made-up-key", "--hf-token"),
        ("env HF_TOKEN=made-up-key vllm serve m", "HF_TOKEN"),
        ("sh -c 'VLLM_API_KEY=made-up-key vllm serve m'", "VLLM_API_KEY"),
        ('sh -c "vllm serve m --password made-up-key"', "--password"),
        ("serve --header 'Authorization: Bearer made-up-key'", "a bearer token"),
        ("serve --proxy http://me:made-up-key@proxy:1", "a password in an address"),
        ("serve sk-made-up-key-of-some-length", "a key"),
    ],
)
def test_a_key_is_refused_and_not_repeated(command: str, name: str) -> None:
    """The message names the flag or variable, says where keys come from, and does not have the key."""
    with pytest.raises(UsageError) as caught:
        refuse_command_secrets(command)
    said = f"{caught.value.what} {caught.value.why} {caught.value.remedy}"

    assert caught.value.why.startswith(f"{name}:")
    assert "environment" in said
    assert "made-up-key" not in said


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve meta/m --port 8000 --max-num-batched-tokens 8192 --tokenizer some/tokenizer",
        "llama-server -m x.gguf --api-key-file /etc/keys --special",
        "sh -c 'vllm serve m --api-key $VLLM_API_KEY'",
        "serve --ssl-keyfile key.pem --ssl-certfile cert.pem --num-speculative-tokens 4",
        "serve --pad-token 151643 --url http://127.0.0.1:80/v1",
        "serve --enable-token --port 80",
    ],
)
def test_commands_without_keys_pass(command: str) -> None:
    """Tokens to be computed, files, variables and numbers are no secrets."""
    refuse_command_secrets(command)


def test_a_run_refuses_it_before_anything_is_written(tmp_path: Path) -> None:
    """No result file exists that could hold it."""
    out = tmp_path / "r.json"
    words = [
        "--endpoint",
        "http://127.0.0.1:9",
        "--server-command",
        "vllm serve m --api-key made-up-key",
        "-o",
        str(out),
    ]
    found = CliRunner().invoke(bench, ["run", *words], standalone_mode=False)

    assert isinstance(found.exception, UsageError)
    assert "--server-command holds a key" in str(found.exception)
    assert not out.exists()
