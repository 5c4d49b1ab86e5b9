"""Records that several files of tests begin with: each says by `replace` what is its own."""

from wattbench.results.energy import ChannelEnergy, ChannelRecord

BOARD_POWER = ChannelRecord(
    id="nvml:a:instant",
    sampler="nvml",
    group="a",
    scope="board",
    kind="power",
    provenance="measured",
    unit="W",
    covers="GPU-a",
    resolution=0.001,
    update_period_s=0.1,
    averaging_window_s=0.1,
    lag_s=0.0,
    seen_share=1.0,
    wraps_at_j=None,
    limit_w=400.0,
    accuracy_rel=None,
    accuracy_basis="",
)
"""A board's power field that shows means over its whole update period."""

PLAIN_POWER = ChannelRecord(
    id="fake:power",
    sampler="fake",
    group="fake",
    scope="board",
    kind="power",
    provenance="measured",
    unit="W",
    covers=None,
    resolution=None,
    update_period_s=None,
    averaging_window_s=None,
    lag_s=None,
    seen_share=None,
    wraps_at_j=None,
    limit_w=None,
    accuracy_rel=None,
    accuracy_basis="",
)
"""A power sensor of which nothing is known."""

PACKAGE_ENERGY = ChannelEnergy(
    channel="rapl:package-0",
    scope="package",
    provenance="measured",
    covers="cpu:0",
    energy_j=1000.0,
    energy_net_j=400.0,
    mean_power_w=100.0,
    method="counter",
    counter_j=1000.0,
    integral_j=None,
    residual=None,
    polls=200,
    updates=200,
    coverage=1.0,
    max_gap_s=0.05,
    u_absolute_rel=0.03,
    u_comparison_rel=0.001,
    budget=(),
    reason=None,
)
"""10 s of a processor's counter."""
