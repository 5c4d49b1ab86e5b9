"""A leaderboard site as pages: boards, classes of hardware, the results on boards, and how to read them."""

from collections.abc import Collection, Iterator
from dataclasses import asdict

from wattbench.results.readable import number, time
from wattbench.results.report.blocks import (
    Badge,
    Block,
    Card,
    Cards,
    Code,
    Fact,
    Facts,
    Link,
    Links,
    Page,
    Prose,
    Section,
)
from wattbench.results.report.site_about import about_sections
from wattbench.results.report.site_data import Group, SiteBoard, SiteData, board_key
from wattbench.results.report.site_files import data_section
from wattbench.results.report.site_names import PAGE_ROWS, board_name, class_name, result_name, split
from wattbench.results.report.site_tables import (
    accelerator_table,
    board_table,
    group_table,
    interval,
    or_dash,
    tier_badge,
    uncertainty,
    verdict_badge,
)
from wattbench.results.store.layout import object_key

__all__ = ["RESULT_PAGES_MAX", "WAYS", "site_pages"]

WAYS = (
    Link(text="Leaderboards", page="index.html"),
    Link(text="Accelerators", page="accelerators.html"),
    Link(text="About", page="about.html"),
)
"""The pages that every page of a site leads to."""

RESULT_PAGES_MAX = 1000
"""With more lines than this on all boards no result has a page of its own: each takes some 18 kB."""

BETTER = "More tokens/J is better; a line is the middle one of the n results of the best configuration."


def site_pages(data: SiteData, version: str) -> Iterator[tuple[str, Page]]:
    """Yield the name and the content of each page; `version` is that of the wattbench that writes them.

    The same index gives the same pages.
    """
    groups = data.groups
    shown = groups if len(groups) <= RESULT_PAGES_MAX else []
    results = {f"{result_name(group.row.id, group.row.scope)}.html": group for group in shown}
    foot = _foot(data, version)
    yield from _index_pages(data, results, foot)
    for board in data.boards:
        yield from _board_pages(board, results, foot)
    yield from _class_pages(data, results, foot)
    for page, group in results.items():
        yield page, _result_page(group, foot)
    yield "about.html", _page("About these boards", _counts(data), about_sections(data), foot)


def _index_pages(data: SiteData, results: Collection[str], foot: tuple[str, ...]) -> Iterator[tuple[str, Page]]:
    """Yield the boards; on the first page all of their lines too, where they fit on one."""
    groups = data.groups
    for chunk in split("index", len(data.boards)):
        caption = f"Boards, each with what leads it{chunk.text}"
        blocks: tuple[Block, ...] = (Prose(text="No result of this store can be on a board yet; About says why."),)
        if data.boards:
            blocks = (board_table(caption, data.boards[chunk.start : chunk.stop]), *chunk.links)
        sections = [Section(key="boards", title="Boards", blocks=blocks)]
        if chunk.start == 0 and 0 < len(groups) <= PAGE_ROWS:
            table = group_table("The lines of all boards", groups, pages=results, whole=True)
            remark = Prose(text=f"{BETTER} Only lines of one board can be ranked.", quiet=True)
            sections.append(Section(key="groups", title="All lines", blocks=(table, remark)))
        if chunk.start == 0:
            sections.append(data_section())
        yield chunk.page, _page("Leaderboards", _counts(data), sections, foot)


def _board_pages(board: SiteBoard, results: Collection[str], foot: tuple[str, ...]) -> Iterator[tuple[str, Page]]:
    first = board.first
    for chunk in split(board_name(board.key), len(board.groups)):
        table = group_table(
            f"{or_dash(first.load)} in {or_dash(first.precision)}{chunk.text}",
            board.groups[chunk.start : chunk.stop],
            pages=results,
        )
        blocks: list[Block] = [table, *chunk.links, Prose(text=BETTER, quiet=True)]
        if board.left_out:
            blocks.append(Prose(text=f"The last {board.left_out} lines of this load and boundary are left out."))
        sections = [
            Section(key="board", title="Board", blocks=tuple(blocks)),
            Section(key="alike", title="What all lines have in common", blocks=(Facts(facts=_alike(board)),)),
        ]
        subtitle = f"{or_dash(first.scenario)}, {or_dash(first.weights)} weights, power of the {first.scope}"
        yield chunk.page, _page(f"{or_dash(first.load)}, {or_dash(first.precision)}", subtitle, sections, foot)


def _alike(board: SiteBoard) -> tuple[Fact, ...]:
    row = board.first
    return tuple(
        Fact(label=label, text=or_dash(value))
        for label, value in (
            ("load", row.load),
            ("version", row.load_version),
            ("digest of model and request shape", row.load_digest),
            ("model", row.model),
            ("precision of weights", row.precision),
            ("precision of products", row.compute_precision),
            ("weights", row.weights),
            ("scenario", row.scenario),
            ("scope of the power", row.scope),
            ("what the leading line's power includes", row.boundary),
        )
    )


def _class_pages(data: SiteData, results: Collection[str], foot: tuple[str, ...]) -> Iterator[tuple[str, Page]]:
    """Yield the list of all classes, unmapped ones too, and a page of each class that is on a board."""
    classes: dict[str, list[Group]] = {}
    for group in data.groups:
        classes.setdefault(or_dash(group.row.hardware), []).append(group)
    pages = {f"{class_name(hardware)}.html" for hardware in classes}
    text = "Every class of hardware that the store has results of; what the vendor database does not know is not ranked"
    for chunk in split("accelerators", len(data.accelerators)):
        part = data.accelerators[chunk.start : chunk.stop]
        table = accelerator_table(f"Classes of hardware{chunk.text}", part, pages)
        section = Section(key="classes", title="Classes", blocks=(table, *chunk.links))
        yield chunk.page, _page("Accelerators", text, [section], foot)
    for hardware, groups in classes.items():
        for chunk in split(class_name(hardware), len(groups)):
            caption = f"{hardware} on all boards{chunk.text}"
            table = group_table(caption, groups[chunk.start : chunk.stop], pages=results, whole=True)
            section = Section(key="lines", title="Lines", blocks=(table, *chunk.links))
            subtitle = "What this class does on each board; lines of different boards cannot be ranked."
            yield chunk.page, _page(hardware, subtitle, [section], foot)


def _result_page(group: Group, foot: tuple[str, ...]) -> Page:
    row = group.row
    links = (
        Link(text="The board that it is on", page=f"{board_name(board_key(row))}.html"),
        Link(text="All lines of this hardware", page=f"{class_name(or_dash(row.hardware))}.html"),
    )
    facts = tuple(
        Fact(label=name, text=f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in asdict(row).items()
        if value is not None and value != ""
    )
    commands = f"bench verify {row.id} --store STORE\nbench pull {row.id} --from STORE"
    checking = (
        Facts(facts=(Fact(label="id (sha256)", text=row.id), Fact(label="file in the store", text=object_key(row.id)))),
        Code(label="Check it, or take the document with its raw polls", text=commands),
        Prose(text="The id is the sha256 of that file: whoever has it can check that its bytes are the same."),
    )
    sections = (
        Section(key="figures", title="Figures", blocks=(Cards(cards=_cards(group)), Links(label="Where", links=links))),
        Section(key="check", title="How to check it", blocks=checking),
        Section(key="facts", title="All that the index has", blocks=(Facts(facts=facts),)),
    )
    return Page(
        title=f"{or_dash(row.load)} on {or_dash(row.hardware)}",
        subtitle=f"{or_dash(row.backend)}/{or_dash(row.engine)}, {or_dash(row.precision)}, batch {or_dash(row.batch)}",
        badges=(verdict_badge(row), tier_badge(row), Badge(text=f"scope {row.scope}")),
        warnings=(),
        sections=sections,
        foot=foot,
    )


def _cards(group: Group) -> tuple[Card, ...]:
    row = group.row
    energy = (row.energy_per_request_j, "J", row.energy_per_request_j_low, row.energy_per_request_j_high)
    speed = (row.tokens_per_s, "tokens/s", row.tokens_per_s_low, row.tokens_per_s_high)
    figures = (
        ("Throughput per watt", row.tokens_per_j, "tokens/J", row.tokens_per_j_low, row.tokens_per_j_high),
        ("Throughput", *speed),
        ("Energy of a request", *energy),
        ("Mean power", row.power_w, "W", row.power_w_low, row.power_w_high),
    )
    times = (("Time to first token", row.ttft_p50_s), ("Time per output token", row.tpot_p50_s))
    behind = f"{uncertainty(row)} against the truth (k=2)"
    return (
        *(
            Card(label=label, value=number(value), unit=unit, spread=interval(low, high), note=_note(label, behind))
            for label, value, unit, low, high in figures
            if value is not None
        ),
        *(Card(label=label, value=time(value), unit="", note="median") for label, value in times if value is not None),
    )


def _note(label: str, behind: str) -> str:
    return behind if label == "Throughput per watt" else ""


def _counts(data: SiteData) -> str:
    lines, boards = _plural(len(data.groups), "line"), _plural(len(data.boards), "board")
    return f"{lines} on {boards}, from {data.ranked:,} ranked ones of {_plural(data.results, 'result')} in the store"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def _page(title: str, subtitle: str, sections: Collection[Section], foot: tuple[str, ...]) -> Page:
    return Page(title=title, subtitle=subtitle, badges=(), warnings=(), sections=tuple(sections), foot=foot)


def _foot(data: SiteData, version: str) -> tuple[str, ...]:
    newest = f"The newest result was logged at {data.as_of}. " if data.as_of else ""
    return (f"{newest}Written by wattbench {version}. This page loads nothing.",)
