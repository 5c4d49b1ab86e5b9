"""Finding loads: names, defaults, refusals, and catalogues of plug-ins, sound and broken."""

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from wattbench.models import find
from wattbench.models.catalogue import directory
from wattbench.models.find import GROUP, catalogue_directories, find_load, list_loads, read_catalogue
from wattbench.results.errors import UsageError

BUILT_IN = EntryPoint(name="catalogue", value="wattbench.models.catalogue:directory", group=GROUP)


def _install(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(find, "points_of", lambda group: (*points, BUILT_IN))


def _plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> EntryPoint:
    """Write a module that a plug-in package would bring, and return its entry point."""
    (folder / f"{name}.py").write_text(body)
    monkeypatch.syspath_prepend(folder)
    return EntryPoint(name=name, value=f"{name}:directory", group=GROUP)


def _catalogue(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """Install a plug-in with a folder for models and shapes, and return that folder."""
    for kind in ("models", "shapes"):
        (folder / kind).mkdir()
    body = f"from pathlib import Path\n\ndef directory():\n    return Path({str(folder)!r})\n"
    _install(monkeypatch, _plugin(folder, monkeypatch, name, body))
    return folder


def test_a_load_is_found_by_model_and_shape() -> None:
    """MODEL/SHAPE joins the two files."""
    load = find_load("bert-base/classify-128")

    assert ("BertConfig", 128) == (load.model.architecture, load.shape.input_tokens)


@pytest.mark.parametrize(
    ("model", "load"),
    [
        ("qwen3-0.6b", "qwen3-0.6b/chat"),
        ("minilm-l6", "minilm-l6/classify-128"),
        ("vit-b16", "vit-b16/image-224"),
        ("whisper-large-v3", "whisper-large-v3/transcribe"),
        ("t5-base", "t5-base/translate"),
        ("tiny-decoder", "tiny-decoder/tiny"),
        ("tiny-encoder", "tiny-encoder/tiny-encode"),
    ],
)
def test_a_bare_model_means_its_default_shape(model: str, load: str) -> None:
    """The default is the first shape of the family that fits the model."""
    assert load == find_load(model).name


def test_an_unknown_model_suggests_the_nearest() -> None:
    """A typing error in the model is answered with the nearest name."""
    with pytest.raises(UsageError, match=r"Did you mean 'qwen3-0\.6b'") as caught:
        find_load("qwen-0.6b/chat")

    assert "bert-base" in caught.value.why


def test_an_unknown_shape_suggests_the_nearest() -> None:
    """A typing error in the shape is answered with the nearest name."""
    with pytest.raises(UsageError, match="Did you mean 'chat'"):
        find_load("gpt2/chta")


def test_a_name_like_nothing_points_to_the_list() -> None:
    """A name that resembles none gets the command that lists all."""
    with pytest.raises(UsageError, match="bench list loads"):
        find_load("../../etc/passwd")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("bert-base/chat", "chat is for decoder models, bert-base is of family encoder"),
        ("gpt2/summarise", "summarise reaches 2176 tokens, gpt2 has 1024 positions"),
        ("whisper-large-v3/translate", "translate is made of tokens, whisper-large-v3 takes audio"),
        ("t5-base/transcribe", "transcribe is made of audio, t5-base takes tokens"),
        ("llama-2-70b/agent", "agent reaches 4864 tokens, llama-2-70b has 4096 positions"),
    ],
)
def test_nonsense_is_refused(name: str, why: str) -> None:
    """A combination that cannot run is refused with its reason."""
    with pytest.raises(UsageError) as caught:
        find_load(name)

    assert why == caught.value.why


def test_a_refusal_lists_the_loads_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nonsense is answered with what the model can do."""
    _install(monkeypatch)

    with pytest.raises(UsageError) as caught:
        find_load("gpt2/summarise")

    loads = "gpt2/chat, gpt2/decode-512, gpt2/decode-64, gpt2/prefill, gpt2/tiny"

    assert f"This model's loads are {loads}." == caught.value.remedy


def test_the_list_is_sorted_and_sensible() -> None:
    """Every listed load is found by its name; the list is in order."""
    names = [load.name for load in list_loads()]

    assert sorted(names) == names
    assert [find_load(name).name for name in names] == names


def test_the_built_in_catalogue_has_no_problems() -> None:
    """Every file that we ship can be read."""
    assert () == read_catalogue().problems


def test_the_built_in_catalogue_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in's folder follows ours, whatever its name."""
    folder = _catalogue(tmp_path, monkeypatch, "a_first_name")

    assert (directory(), folder) == catalogue_directories()


def test_a_plugin_adds_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model in a plug-in's folder takes the shapes of all catalogues."""
    folder = _catalogue(tmp_path, monkeypatch, "more_loads")
    text = (directory() / "models" / "gpt2.toml").read_text()
    (folder / "models" / "my-gpt.toml").write_text(text.replace('"gpt2"', '"my-gpt"', 1))

    assert "my-gpt" == find_load("my-gpt/chat").model.name


def test_a_broken_file_hides_no_other_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken file is named; every built-in load is still listed."""
    before = [load.name for load in list_loads()]
    folder = _catalogue(tmp_path, monkeypatch, "broken_file")
    (folder / "models" / "bad.toml").write_text("name = ")

    found = read_catalogue()

    assert before == [load.name for load in found.loads]
    assert [True] == [str(folder / "models" / "bad.toml") in problem.what for problem in found.problems]


def test_a_broken_file_is_named_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for the broken model gives that file's own error."""
    folder = _catalogue(tmp_path, monkeypatch, "broken_model")
    (folder / "models" / "bad.toml").write_text("name = ")

    with pytest.raises(UsageError, match=r"bad\.toml cannot be used"):
        find_load("bad/chat")


def test_a_model_without_formulas_hides_no_other_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An architecture that we cannot count is a problem of its own file."""
    folder = _catalogue(tmp_path, monkeypatch, "new_architecture")
    text = (directory() / "models" / "gpt2.toml").read_text()
    text = text.replace('"gpt2"', '"odd"', 1).replace('"GPT2Config"', '"OddConfig"')
    (folder / "models" / "odd.toml").write_text(text)

    assert [True] == ["'OddConfig'" in problem.what for problem in read_catalogue().problems]


def test_a_plugin_that_raises_hides_no_other_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in whose code fails is named with its error."""
    _install(monkeypatch, _plugin(tmp_path, monkeypatch, "raising_loads", "raise RuntimeError('no licence')\n"))

    found = read_catalogue()

    assert [
        ("The catalogue 'raising_loads' (raising_loads:directory) cannot be opened", "RuntimeError: no licence")
    ] == [(p.what, p.why) for p in found.problems]
    assert len(found.loads) > 0


def test_a_broken_plugin_is_named_when_a_load_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load may be missing because its catalogue could not be opened, so the message says that."""
    _install(monkeypatch, _plugin(tmp_path, monkeypatch, "silent_loads", "directory = None\n"))

    with pytest.raises(UsageError, match=r"not readable: The catalogue 'silent_loads'"):
        find_load("theirs/chat")


def test_a_plugin_without_a_folder_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that does not exist is named."""
    body = "def directory():\n    return '/nowhere/at/all'\n"
    _install(monkeypatch, _plugin(tmp_path, monkeypatch, "gone_loads", body))

    assert [True] == ["has no folder" in problem.what for problem in read_catalogue().problems]


def test_a_second_file_of_a_name_is_ignored_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plug-in cannot replace a built-in model."""
    folder = _catalogue(tmp_path, monkeypatch, "copying_loads")
    (folder / "models" / "gpt2.toml").write_text("name = ")

    assert 124_439_808 == find_load("gpt2/chat").model.parameters
    assert [True] == ["is ignored" in problem.what for problem in read_catalogue().problems]


def test_a_model_that_no_shape_fits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare model name without any fitting shape says so."""
    folder = _catalogue(tmp_path, monkeypatch, "short_loads")
    text = (directory() / "models" / "tiny-decoder.toml").read_text()
    text = text.replace('"tiny-decoder"', '"short"', 1).replace("max_positions = 64", "max_positions = 4")
    (folder / "models" / "short.toml").write_text(text)

    with pytest.raises(UsageError, match="No request shape fits"):
        find_load("short")


def test_finding_a_load_imports_no_framework() -> None:
    """The catalogue is read without torch, transformers or pandas."""
    code = (
        "import sys; from wattbench.models.find import list_loads; list_loads(); "
        "sys.exit(', '.join({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "" == done.stderr.strip()
