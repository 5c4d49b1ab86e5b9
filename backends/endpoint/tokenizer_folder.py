"""The folder of a tokenizer, looked at before a run: whether it can be one, and whether it can be read."""

from pathlib import Path

from wattbench.backends.asking import ask
from wattbench.backends.lines import Failure, known_error
from wattbench.results.codec import decode
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["WANTED", "check_folder", "check_tokenizer"]

FILES = (
    *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt"),
    *("spiece.model", "sentencepiece.bpe.model", "tekken.json"),
)
"""A folder that holds none of these is no tokenizer's, whatever else lies there."""

WANTED = "Give the folder that the model's tokenizer was saved in, as tokenizer.save_pretrained(FOLDER) does."
READ_TIMEOUT_S = 120.0
"""Loading transformers alone was seen to take ten seconds on a busy machine."""


def check_folder(folder: str) -> None:
    """Raise UsageError for a folder that is not there, or that holds no file of a tokenizer."""
    what, place = f"No tokenizer at {folder!r}", Path(folder)
    try:
        if not place.is_dir():
            raise UsageError(what, "there is no such folder", WANTED)
        if not any((place / name).is_file() for name in FILES):
            raise UsageError(what, f"the folder holds none of {', '.join(FILES)}", WANTED)
    except OSError as exc:
        raise UsageError(what, exc.strerror or str(exc), WANTED) from exc


def check_tokenizer(folder: str) -> None:
    """Raise the error with which a tokenizer would end the run, by reading it in a process of its own.

    UsageError for a folder without one, DeviceError where transformers is missing or gives no answer.
    """
    check_folder(folder)
    found = ask("wattbench.backends.endpoint.tokenizer_child", "The tokenizer", folder, timeout_s=READ_TIMEOUT_S)
    if found is None:
        return
    failure = decode(found, Failure)
    raise (known_error(failure.kind) or DeviceError)(failure.what, failure.why, failure.remedy)
