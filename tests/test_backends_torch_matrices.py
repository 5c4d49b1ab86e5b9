"""The matrices of the torch backend: each way of keeping weights gives the product within its rounding."""

import pytest

pytest.importorskip("torch", reason="the matrices hold tensors")

import torch
from torch import Tensor, nn

from wattbench.backends.torch.linears import Biased, DynamicInt8, float8_linear, packed_linear, replace_linears
from wattbench.backends.torch.matrices import FEW_ROWS, Matrix, Packed, Plain, PlainAndPacked
from wattbench.backends.torch.quantised import Float8, Int4, Int8, int4_groups, int8_rows

MAKERS = {
    "plain": (Plain, 1e-5),
    "packed": (Packed, 1e-5),
    "plain-and-packed": (PlainAndPacked, 1e-5),
    "int8": (lambda w: Int8(w, Plain), 0.01),
    "int8-without-dense": (lambda w: Int8(w, None), 0.01),
    "int4": (lambda w: Int4(w, Plain), 0.12),
}


def weight_of(outputs: int = 96, inputs: int = 64) -> Tensor:
    """Return a seeded weight."""
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(1))


def rows_of(requests: int, new: int, inputs: int = 64) -> Tensor:
    """Return seeded activations (requests, new, inputs)."""
    return torch.randn(requests, new, inputs, generator=torch.Generator().manual_seed(2))


def error(found: Tensor, weight: Tensor, x: Tensor) -> float:
    """Return how far a product is from the exact one, relatively."""
    exact = x.double() @ weight.double().t()
    return float((found.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("shape", [(1, 1), (FEW_ROWS, 1), (1, FEW_ROWS + 3)])
def test_a_product_is_right_for_any_rows(name: str, shape: tuple[int, int]) -> None:
    """Few rows and many rows give the product, within the rounding of the weights."""
    make, limit = MAKERS[name]
    weight, x = weight_of(), rows_of(*shape)

    assert error(make(weight)(x), weight, x) < limit


@pytest.mark.parametrize("name", MAKERS)
def test_the_traced_product_is_the_product(name: str) -> None:
    """What a compiled step traces gives the numbers of the plain call."""
    make, limit = MAKERS[name]
    matrix: Matrix = make(weight_of())
    x = rows_of(2, 1)

    assert error(matrix.few(x), weight_of(), x) < limit
    assert torch.allclose(matrix(x), matrix.few(x), atol=2e-2, rtol=2e-2)


def test_long_sums_are_split_and_right() -> None:
    """A product over 10000 inputs is summed in parts."""
    weight, x = weight_of(16, 10_000), rows_of(1, 1, 10_000)

    assert error(Plain(weight).few(x), weight, x) < 1e-5


def test_many_rows_read_the_numbers_that_few_rows_read() -> None:
    """The dense copy holds the rounded weights, not the original ones: a row is the same alone and among many."""
    matrix = Int4(weight_of(), Plain)
    x = rows_of(1, FEW_ROWS + 1)

    assert torch.allclose(matrix(x)[:, :1], matrix(x[:, :1]), atol=0.02, rtol=1e-3)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_the_scales_of_both_copies_are_the_same_numbers(name: str) -> None:
    """In bfloat16 the dense copy is made with the rounded scales that the kernel multiplies with."""
    matrix = MAKERS[name][0](weight_of(48, 32).bfloat16())
    ones = torch.eye(32).bfloat16().unsqueeze(0)  # each row picks one input, so that nothing is summed
    alone = torch.cat([matrix(ones[:, i : i + 1]) for i in range(32)], dim=1)

    assert float((alone.float() - matrix(ones).float()).abs().max()) <= 2**-7 * float(alone.float().abs().max()) / 8


def test_more_rows_read_the_dense_copy() -> None:
    """What a product of many rows reads is the copy, where there is one."""
    weight = weight_of(96, 64).bfloat16()
    dense = 2 * 96 * 64

    assert [dense, dense] == [m.bytes_for(FEW_ROWS + 1) for m in (Int8(weight, Plain), Int4(weight, Plain))]
    assert Int8(weight, None).bytes_for(FEW_ROWS + 1) == Int8(weight, Plain).bytes_for(FEW_ROWS) < dense


def test_weights_are_laid_out_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is rearranged by oneDNN when packed weights are multiplied, whatever the rows."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of PyTorch has no oneDNN")
    matrices = [Packed(weight_of()), DynamicInt8(weight_of(), None)]
    with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
        for rows in (1, 7, 64):
            for matrix in matrices:
                matrix(rows_of(1, rows))
    lines = [line for line in capfd.readouterr().out.splitlines() if ",exec," in line]

    assert lines
    assert not [line for line in lines if ",reorder," in line]


def test_rounded_weights_read_fewer_bytes() -> None:
    """A step reads a byte a weight in int8 and less than five bits in int4, scales included."""
    weight = weight_of(96, 64).bfloat16()

    assert 96 * 64 + 96 * 2 == Int8(weight, None).read_bytes
    assert 96 * 64 // 2 + 96 * 2 * 2 * 2 == Int4(weight, Plain).read_bytes
    assert 96 * 64 * 2 == Plain(weight).read_bytes


def test_rounding_keeps_the_largest_of_a_row() -> None:
    """The largest magnitude of a row is 127 steps, and a row of zeros stays zero."""
    steps, scale = int8_rows(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))

    assert [[64, -127], [0, 0]] == steps.tolist()
    assert pytest.approx(2 / 127) == float(scale[0])


def test_groups_of_four_bits_reach_both_ends() -> None:
    """The smallest of a group is step 0, the largest step 15, and the offset is step 8."""
    steps, scale, offset = int4_groups(torch.linspace(-3, 12, 32).view(1, 32))

    assert (0, 15) == (int(steps.min()), int(steps.max()))
    assert (pytest.approx(1.0), pytest.approx(5.0)) == (float(scale), float(offset))


def test_a_shape_that_a_kernel_does_not_take_is_told() -> None:
    """int4 needs inputs in groups of 32, float8 multiples of 16."""
    assert [True, False] == [Int4.fits(weight_of(16, inputs)) for inputs in (64, 48)]
    assert [True, False] == [Float8.fits(weight_of(16, inputs)) for inputs in (64, 40)]


def test_float8_rounds_rows_of_both_factors() -> None:
    """The product of float8 rows with scales is within their three bits of fraction (on the CPU's own kernel)."""
    weight, x = weight_of().bfloat16(), rows_of(2, 3).bfloat16()

    assert error(Float8(weight)(x), weight.float(), x.float()) < 0.06


def test_encoders_products_round_activations_as_they_come() -> None:
    """int8 weights and activations give the product with its bias, within two roundings of 8 bits."""
    weight, bias, x = weight_of(), torch.arange(96.0), rows_of(2, 5)
    found = DynamicInt8(weight, bias)(x) - bias

    assert error(found, weight, x) < 0.02


@pytest.mark.parametrize(("reduces", "steps"), [(True, 63), (False, 127)])
def test_encoders_weights_keep_to_seven_bits_without_vnni(
    reduces: bool, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest weight of an output is as many steps as the processor can multiply without an overflow."""
    monkeypatch.setattr("wattbench.backends.torch.linears.reduces_range", lambda: reduces)
    weight = weight_of()

    assert torch.allclose(weight.abs().amax(dim=1) / steps, DynamicInt8(weight, None).scale)


def test_a_row_of_activations_is_rounded_by_its_own_range() -> None:
    """A row a thousand times as wide as the others takes nothing from them."""
    weight, x = weight_of(), rows_of(2, 5)
    wide = x.clone()
    wide[0, 0] *= 1000

    assert torch.allclose(DynamicInt8(weight, None)(x)[:, 1:], DynamicInt8(weight, None)(wide)[:, 1:])


def test_every_linear_of_a_module_is_replaced() -> None:
    """Packed layers give what the plain ones gave, bias included, wherever they lie in the module."""
    module = nn.Sequential(nn.Linear(64, 32), nn.Sequential(nn.ReLU(), nn.Linear(32, 8, bias=False)))
    module.requires_grad_(False)
    x = rows_of(2, 3)
    before = module(x)
    replace_linears(module, packed_linear)

    assert not [part for part in module.modules() if isinstance(part, nn.Linear)]
    assert torch.allclose(before, module(x), atol=1e-5)


def test_a_layer_that_does_not_fit_stays() -> None:
    """A linear layer whose shape float8 does not take is left as it is; one that fits keeps its bias."""
    assert float8_linear(nn.Linear(40, 16)) is None

    fitting = float8_linear(nn.Linear(64, 16).bfloat16())

    assert isinstance(fitting, Biased)
    assert fitting.bias is not None
