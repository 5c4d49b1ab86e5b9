"""Credentials of meters: where they come from, what is refused, and that they never come out again."""

import os
import pickle
from pathlib import Path

import pytest

from wattbench.harness.power.meters.argument import parse_argument
from wattbench.harness.power.meters.credentials import Credentials, load_credentials
from wattbench.results.errors import UsageError

SECRET = "p@ss/wörd"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a credentials file that only its owner may read."""
    path = tmp_path / "bmc"
    path.write_text(f"# the rack's controllers\nuser = admin\n\npassword = {SECRET}\n")
    path.chmod(0o600)
    return path


def test_a_file_of_its_owner_is_read(file: Path) -> None:
    """User and password stand in lines of their own."""
    found = load_credentials(parse_argument("redfish", f"bmc,credentials={file}"))

    assert ("admin", SECRET, None) == (found.user, found.password, found.token)


def test_the_environment_is_read_by_the_samplers_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """WATTBENCH_IPMI_... is for ipmi alone."""
    monkeypatch.setenv("WATTBENCH_IPMI_USER", "admin")
    monkeypatch.setenv("WATTBENCH_IPMI_PASSWORD", SECRET)

    assert SECRET == load_credentials(parse_argument("ipmi", "bmc")).password
    assert not load_credentials(parse_argument("shelly", "plug")).given


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    """The remedy is the command that mends it."""
    file.chmod(mode)

    with pytest.raises(UsageError, match="not safe") as caught:
        load_credentials(parse_argument("redfish", f"bmc,credentials={file}"))
    assert f"chmod 600 {file}" in caught.value.remedy


def test_a_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever owns it could change it."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    with pytest.raises(UsageError, match="another user"):
        load_credentials(parse_argument("redfish", f"bmc,credentials={file}"))


def test_a_pipe_or_folder_is_refused(tmp_path: Path) -> None:
    """Only a plain file has an owner and a mode that mean something; a pipe does not hang us."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)

    with pytest.raises(UsageError, match="no plain file"):
        load_credentials(parse_argument("redfish", f"bmc,credentials={pipe}"))


def test_a_line_that_is_not_understood_is_not_repeated(file: Path) -> None:
    """The message names the line's number, never its text."""
    file.write_text(f"passwort = {SECRET}\n")

    with pytest.raises(UsageError, match="line 1") as caught:
        load_credentials(parse_argument("redfish", f"bmc,credentials={file}"))
    assert SECRET not in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    """The cause is the system's."""
    with pytest.raises(UsageError, match="No such file"):
        load_credentials(parse_argument("redfish", f"bmc,credentials={tmp_path / 'none'}"))


def test_credentials_have_no_text_form() -> None:
    """Neither printing nor pickling lets them out."""
    held = Credentials(user="admin", password=SECRET)

    assert SECRET not in f"{held!r} {held}"
    with pytest.raises(TypeError):
        pickle.dumps(held)


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        "p%40ss%2Fw%C3%B6rd",
        "p%40ss/w%C3%B6rd",
        "Basic YWRtaW46cEBzcy93w7ZyZA==",
        f"url http://admin:{SECRET}@h",
    ],
)
def test_every_form_of_a_password_is_scrubbed(text: str) -> None:
    """Plain, as part of a URL, and as a Basic header."""
    clean = Credentials(user="admin", password=SECRET).scrub(f"failed: {text} !")

    assert "***" in clean
    assert "ss" not in clean.replace("failed", "")
    assert "YWRt" not in clean
