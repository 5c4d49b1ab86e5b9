"""The counted work of our own tiny models against PyTorch's own counter; needs no transformers."""

import pytest

from wattbench.models.find import find_load
from wattbench.models.inputs import make_arrays
from wattbench.models.work import prefill_flops

torch = pytest.importorskip("torch", reason="PyTorch's flop counter is the other side of this comparison")


@pytest.mark.parametrize("name", ["tiny-decoder", "tiny-encoder"])
def test_the_tiny_module_has_the_files_parameters(name: str) -> None:
    """What models/tiny.py builds has as many parameters as the catalogue says."""
    from wattbench.models.tiny import tiny_model

    spec = find_load(name).model
    with torch.device("meta"):
        module = tiny_model(spec.family, spec.config)

    assert spec.parameters == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("name", ["tiny-decoder", "tiny-encoder"])
def test_a_tiny_prefill_matches_the_flop_counter(name: str) -> None:
    """Counted with full squares, as PyTorch's counter does, a prefill agrees within 2 %."""
    from torch.utils.flop_counter import FlopCounterMode

    from wattbench.models.tiny import tiny_model

    load = find_load(name)
    ids = torch.from_numpy(make_arrays(load, 1, 0)["input_ids"]).to("meta")
    keep = {"logits_to_keep": 1} if load.model.family == "decoder" else {}
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        tiny_model(load.model.family, load.model.config)(ids, **keep)

    assert pytest.approx(counter.get_total_flops(), rel=0.02) == prefill_flops(load, full_square=True)
