"""Results as rows of AI Energy Score's table: the columns of its results aggregator, GPU energy in Wh.

Columns and formulas: scottcha/AIEnergyScore, results_aggregator.py (read 2026-11). Its energy is that of GPUs alone,
so a result without energy at the scope of boards or modules has no row; its tokens per joule count tokens in and out.
"""

from collections.abc import Mapping, Sequence

from wattbench.results.document import Result
from wattbench.results.errors import DocumentError
from wattbench.results.exchange.exported import Exported
from wattbench.results.exchange.figure_table import Cell, csv_bytes
from wattbench.results.rates import Work, work_of

__all__ = ["COLUMNS", "ai_energy_score_bytes", "energy_score_row"]

COLUMNS = (
    *("model_name", "model_class", "task", "reasoning_state", "total_prompts", "successful_prompts", "failed_prompts"),
    *("total_duration_seconds", "avg_total_time", "avg_time_to_first_token", "total_tokens", "total_prompt_tokens"),
    *("total_completion_tokens", "throughput_tokens_per_second", "gpu_energy_wh", "wh_per_1000_queries"),
    *("energy_per_prompt_min_wh", "energy_per_prompt_max_wh", "energy_per_prompt_std_wh", "co2_emissions_g"),
    *("tokens_per_joule", "avg_energy_per_prompt_wh", "timestamp", "error_message"),
)
GPU_SCOPES = ("board", "module")
J_PER_WH = 3600.0
QUERIES = 1000

TASKS = {"decoder": "text_gen", "encoder-decoder": "text_gen"}
"""Its name for what generates text; it has none that is ours for the rest."""


def ai_energy_score_bytes(results: Sequence[Exported]) -> bytes:
    """Return results as its CSV. Raises DocumentError for one that has no such row."""
    return csv_bytes(COLUMNS, [energy_score_row(result) for result in results])


def energy_score_row(result: Exported) -> Mapping[str, Cell]:
    """Return one result's row. Raises DocumentError for one without repeats or without energy of GPUs."""
    document, subject = result.document, result.subject
    if not isinstance(document, Result) or document.summary is None:
        why = "its totals need the repeats of a run, and an import has none"
        raise DocumentError("AI Energy Score cannot take this result", why, "Export it to csv.")
    energy_j = _gpu_energy_j(result)
    works = [work_of(repeat) for repeat in document.repeats]
    done, total = _sum(works), document.summary
    tokens = done.input_tokens + done.output_tokens
    if not done.requests:
        raise DocumentError("AI Energy Score cannot take this result", "no request succeeded", "Measure again.")
    latency = {each.name: each.mean for each in total.latencies}
    energy_wh = energy_j / J_PER_WH
    return {
        "model_name": subject.model,
        "task": TASKS.get(subject.family or ""),
        "total_prompts": total.requests,
        "successful_prompts": done.requests,
        "failed_prompts": total.failed_requests,
        "total_duration_seconds": total.measured_s,
        "avg_total_time": latency.get("latency.request"),
        "avg_time_to_first_token": latency.get("latency.ttft"),
        "total_tokens": tokens,
        "total_prompt_tokens": done.input_tokens,
        "total_completion_tokens": done.output_tokens,
        "throughput_tokens_per_second": tokens / done.duration_s,
        "gpu_energy_wh": energy_wh,
        "wh_per_1000_queries": QUERIES * energy_wh / done.requests,
        "tokens_per_joule": tokens / energy_j,
        "avg_energy_per_prompt_wh": energy_wh / done.requests,
        "timestamp": subject.started_at,
        "error_message": f"{' '.join(subject.marks)}: {'; '.join(subject.reasons)}" if subject.marks else None,
    }


def _gpu_energy_j(result: Exported) -> float:
    """Return the energy of all windows at the boards of the device under test, or of the modules that hold it."""
    assert isinstance(result.document, Result), "the caller looks for a run first"
    repeats = len(result.document.repeats)
    figures = [figure for figure in result.figures if figure.name == "energy.total" and figure.scope in GPU_SCOPES]
    whole = next((figure for figure in figures if repeats and len(figure.samples) == repeats), None)
    if whole is None or not sum(whole.samples):
        scopes = ", ".join(dict.fromkeys(f.scope for f in result.figures if f.scope is not None)) or "no scope"
        why = f"it counts the energy of GPUs in every window, and this result has energy at {scopes}"
        raise DocumentError("AI Energy Score cannot take this result", why, "Export it to csv, or measure a GPU.")
    return sum(whole.samples)


def _sum(works: Sequence[Work]) -> Work:
    return Work(
        requests=sum(work.requests for work in works),
        failed=sum(work.failed for work in works),
        input_tokens=sum(work.input_tokens for work in works),
        output_tokens=sum(work.output_tokens for work in works),
        duration_s=sum(work.duration_s for work in works),
    )
