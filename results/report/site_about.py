"""The page that says how a site's boards are made, what its words mean, and what is not ranked."""

from collections.abc import Iterator, Mapping

from wattbench.results.identity.comparability import FIELDS
from wattbench.results.index.build import REASONS
from wattbench.results.report.blocks import Cell, Code, Column, Entries, Entry, Prose, Section, Table
from wattbench.results.report.site_data import SiteData

__all__ = ["about_sections"]

RULES = (
    "A board has the results that differ in hardware alone: load, precision, scenario, weights and boundary are one.",
    "A line is one group of results with the same comparability key. Each configuration in it (backend, engine, batch, "
    "slots) is stood for by the middle one of its n results, the worse of two where n is even; the best configuration "
    "stands for the group, and 'of' says out of how many.",
    "So every line is one real result with an id of its own. Nothing is averaged, and measuring more often raises "
    "nobody's rank.",
    "The interval is that of the run's repeats. The uncertainty is against the truth (k=2): two lines that "
    "differ by less than both of theirs are not told apart.",
    "Figures of different boundaries are never on one board: a board's power leaves out the host, a wall's does not.",
)
TIERS = {
    "self-reported": "nothing: no known key signed it, or it contradicts itself",
    "signed": "a signature that holds, by a key that is known",
    "reproduced": "another consistent, rankable result by others or on another machine, which is verified too",
    "audited": "the note of an auditor whose key is on the list of the store's owner",
}
VERDICTS = {
    "valid": "nothing speaks against the figures",
    "doubtful": "the figures may be used with the doubts that the result names",
    "invalid": "no figure is to be quoted, and none is ranked",
}
OTHER = "`bench verify` says more"


def about_sections(data: SiteData) -> tuple[Section, ...]:
    """Return the sections of the page, with how many results of the store each word holds for."""
    return (
        Section(key="rules", title="What a line is", blocks=(Entries(entries=tuple(Entry(text=t) for t in RULES)),)),
        Section(key="tiers", title="Tiers of trust", blocks=(_table("tier", "rests on", TIERS, dict(data.tiers)),)),
        Section(key="verdicts", title="Verdicts", blocks=(_table("verdict", "means", VERDICTS, dict(data.verdicts)),)),
        Section(key="left-out", title="What is not ranked", blocks=tuple(_left_out(data))),
        Section(key="key", title="What has to be the same", blocks=(_fields(),)),
        Section(key="check", title="Check it yourself", blocks=tuple(_checking())),
    )


def _left_out(data: SiteData) -> Iterator[Prose | Table]:
    missing = data.results - data.ranked
    yield Prose(text=f"{missing:,} of {data.results:,} results are in no ranking; a result may have several reasons.")
    counts = dict(data.reasons)
    meanings = {**REASONS, **{code: OTHER for code in counts if code not in REASONS}}
    yield _table("reason", "why it is in no ranking", meanings, counts)
    if data.unpowered:
        yield Prose(text=f"{data.unpowered:,} more may be ranked and have no tokens/J, so they are on no board here.")


def _table(name: str, meaning: str, meanings: Mapping[str, str], counts: Mapping[str, int]) -> Table:
    columns = (Column(name=name), Column(name=meaning, wide=True), Column(name="results here", right=True))
    rows = tuple(
        (Cell(text=word), Cell(text=text), Cell(text=f"{counts.get(word, 0):,}", order=counts.get(word, 0)))
        for word, text in meanings.items()
    )
    return Table(caption=f"Each {name} and what it means", columns=columns, rows=rows, sortable=False)


def _fields() -> Table:
    rows = tuple((Cell(text=name), Cell(text=text)) for name, text in FIELDS.items())
    columns = (Column(name="field"), Column(name="what it holds", wide=True))
    caption = "The fields of the comparability key, whose sha256 makes a group"
    return Table(caption=caption, columns=columns, rows=rows, sortable=False)


def _checking() -> Iterator[Prose | Code]:
    yield Prose(text="These pages are derived: the store's documents are what counts, and each is named by its digest.")
    words = (
        "bench query --store STORE                # these boards, from the store",
        "bench verify ID --store STORE            # does a result follow from its own raw data?",
        "bench pull ID --from STORE               # the document and its raw polls",
        "bench report --store STORE --out DIR     # this site",
    )
    yield Code(label="With access to the store", text="\n".join(words))
