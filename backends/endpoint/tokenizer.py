"""Counting the tokens of an answer by a tokenizer from a local folder: the only file here that knows transformers."""

from collections.abc import Callable

from wattbench.backends.endpoint.tokenizer_folder import WANTED, check_folder
from wattbench.results.errors import DeviceError, UsageError

__all__ = ["counter_of"]


def counter_of(folder: str) -> Callable[[str], int]:
    """Return a function that counts the tokens of a text without special ones; nothing is fetched.

    Raises DeviceError without transformers, UsageError for a folder that holds no tokenizer.
    """
    try:
        from transformers import AutoTokenizer
    except ImportError as exc:
        what = "Counting tokens needs transformers"
        raise DeviceError(what, str(exc), "pip install 'wattbench[torch]', or leave out --tokenizer.") from exc
    check_folder(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as exc:  # what a library raises of wrong files has no common kind
        why = f"transformers reads none from the files there ({type(exc).__name__})"
        raise UsageError(f"No tokenizer at {folder!r}", why, WANTED) from exc

    def count(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False).input_ids)

    return count
