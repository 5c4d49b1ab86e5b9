"""Reading catalogue files: what is refused, and that file and key are named."""

from pathlib import Path

import pytest

from wattbench.models.catalogue import directory
from wattbench.models.read import read_model, read_shape
from wattbench.results.errors import UsageError

MODEL = (directory() / "models" / "tiny-decoder.toml").read_text()
SHAPE = (directory() / "shapes" / "tiny.toml").read_text()


def _write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_a_model_file_becomes_a_record(tmp_path: Path) -> None:
    """A complete file is read field by field."""
    model = read_model(_write(tmp_path, "tiny-decoder", MODEL))

    assert ("decoder", 2, None) == (model.family, model.config["layers"], model.checkpoint)


def test_a_checkpoint_is_optional(tmp_path: Path) -> None:
    """The checkpoint is kept where the file has one."""
    model = read_model(_write(tmp_path, "tiny-decoder", 'checkpoint = "a/b"\n' + MODEL))

    assert "a/b" == model.checkpoint


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version = 1", "version = 1\ncolour = 2", "unknown key 'colour'"),
        ("version = 1", "", "missing key 'version'"),
        ("version = 1", 'version = "1"', "'version' must be of type int"),
        ("version = 1", "version = true", "'version' must be of type int"),
        ("version = 1", "version = 0", "version must be at least 1"),
        ('family = "decoder"', 'family = "oracle"', "'family' must be one of"),
        ('name = "tiny-decoder"', 'name = "other"', "file's own name"),
        ("cosine = 0.995", "cosine = 2.0", "cosine must be within"),
        ("cosine = 0.995", "", "missing key 'tolerances.cosine'"),
        ("cosine = 0.995", "cosine = 0.995\nworst = 1", "unknown key 'tolerances.worst'"),
        ('precision = "bfloat16"', 'precision = "int4"', "one entry for each of 'precisions'"),
        ('["float32", "tf32", "bfloat16", "float8", "int8", "int4"]', "[1]", "'precisions' must be a list of texts"),
        ("[config]", "[config", "Expected ']'"),
    ],
)
def test_a_wrong_model_file_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    """The message names the file and what is wrong in it."""
    path = _write(tmp_path, "tiny-decoder", MODEL.replace(old, new, 1))

    with pytest.raises(UsageError) as caught:
        read_model(path)

    assert str(path) in caught.value.what
    assert why in caught.value.why


def test_tolerances_must_be_tables(tmp_path: Path) -> None:
    """A list of anything else is refused."""
    text = MODEL.split("[[tolerances]]")[0].replace("version = 1", "version = 1\ntolerances = [1]", 1)

    with pytest.raises(UsageError, match="must be a table"):
        read_model(_write(tmp_path, "tiny-decoder", text))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("turns = 1", "", "missing key 'turns'"),
        ("turns = 1", "turns = 1\nspeed = 3", "unknown key 'speed'"),
        ('modality = "tokens"', 'modality = "smell"', "'modality' must be one of"),
        ('families = ["decoder"]', 'families = ["oracle"]', "'families' must be one of"),
        ('families = ["decoder"]', "families = []", "'families' must be a list of texts"),
        ("input_tokens = 16", "input_tokens = 0", "at least one input token"),
    ],
)
def test_a_wrong_shape_file_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    """The message names the file and what is wrong in it."""
    path = _write(tmp_path, "tiny", SHAPE.replace(old, new, 1))

    with pytest.raises(UsageError) as caught:
        read_shape(path)

    assert str(path) in caught.value.what
    assert why in caught.value.why


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be opened is a usage error, not a traceback."""
    with pytest.raises(UsageError, match=r"absent\.toml"):
        read_shape(tmp_path / "absent.toml")


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"name = '\xff'")

    with pytest.raises(UsageError, match="cannot be used"):
        read_shape(path)
