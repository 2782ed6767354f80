"""Lineage and differences as people read them in the terminal. Names are shown as they are, markup and all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from galileu_pipeline.lineage.difference import Change, Difference
from galileu_pipeline.lineage.graph import Node, Trace
from galileu_pipeline.lineage.origin import Origin
from galileu_pipeline.lineage.sources import ChangedRows, Item
from galileu_pipeline.lineage.teaching import Teaching
from galileu_pipeline.lineage.wording import LineageWording
from galileu_pipeline.markdown import printable, shorten

MOST_ITEMS, _MOST_PEOPLE, _MOST_CHARS = 20, 10, 60
_WORDING = LineageWording("en")


def origin_tree(origin: Origin) -> Tree:
    """What the subject was made from, back to the feedback; then what was made from it."""
    subject = origin.node(origin.subject)
    tree = Tree(_line(subject, bold=True))
    for sentence in _WORDING.summary(origin):
        tree.add(_text(sentence))
    _add_items(tree, origin, subject.id)
    if subject.inputs:
        _Branch(origin, lambda found: origin.node(found).inputs).grow(tree.add("made from"), subject.id)
    if origin.children(subject.id):
        _Branch(origin, origin.children).grow(tree.add("went into"), subject.id)
    return tree


def trace_view(trace: Trace) -> RenderableType:
    """The datasets that hold something of a person or a click, and what was made from them."""
    if not trace.held_by:
        return _text(f"No dataset holds anything of {trace.of}.")
    held = _table("dataset", "made (UTC)", "items", "rows", title=f"Datasets that hold something of {trace.of}")
    for dataset in trace.held_by:
        held.add_row(_text(dataset.id), _WORDING.made_at(dataset), f"{dataset.items:,}", f"{dataset.rows:,}")
    made = _table("artifact", "made (UTC)", "", title="Made from them")
    for node in trace.made_from:
        made.add_row(_text(node.id), _WORDING.made_at(node), _text(" · ".join(_WORDING.notes(node))))
    return Group(held, made) if trace.made_from else held


def teaching_view(found: Teaching) -> RenderableType:
    """The nearest questions; below each, by dataset and split, pairs and examples, and below those the votes."""
    if not found.near:
        return _text(f"Nothing that {found.model} learned from is like that question.")
    tree = Tree(_text(f"{found.model} · similarity: {found.measure}"))
    for near in found.near:
        sign = "the same question" if near.same else f"similarity {near.similarity:.2f}"
        branch = tree.add(_text(f"{shorten(near.question, _MOST_CHARS)}  {sign}", "bold"))
        for item in near.items:
            answers = f"“{shorten(item.answer, _MOST_CHARS)}”"
            if item.rejected is not None:
                answers += f" rather than “{shorten(item.rejected, _MOST_CHARS)}”"
            split = "trained on" if item.split == "train" else "held out: measured on, not learned"
            votes = branch.add(_text(f"{answers}  {item.dataset} · {split} · {item.item_id}"))
            for source in item.votes:
                votes.add(_text(f"{source.role}: {source.feedback_id} by {source.person or 'nobody known'}"))
            if not item.votes:
                votes.add("written by hand")
    return tree


def difference_view(difference: Difference) -> RenderableType:
    """What differs, a table a kind; what is the same is left out."""
    parts: list[RenderableType] = [_feedback_table(difference)]
    for name in ("inputs", "settings", "code", "packages", "metrics"):
        changes: list[Change] = getattr(difference, name)
        if changes:
            table = _table(name, difference.old, difference.new)
            for change in changes:
                table.add_row(_text(change.name), _text(_value(change.old)), _text(_value(change.new)))
            parts.append(table)
    same = [name for name in ("inputs", "settings", "code", "packages", "metrics") if not getattr(difference, name)]
    if same:
        parts.append(_text(f"The same in both: {', '.join(same)}."))
    return Group(*parts)


class _Branch:
    """Artifacts one below the other. What several were made from is unfolded where it comes first."""

    def __init__(self, origin: Origin, step: Callable[[str], Sequence[str]]) -> None:
        self._origin, self._step = origin, step
        self._shown: set[str] = set()

    def grow(self, tree: Tree, artifact_id: str) -> None:
        for found in self._step(artifact_id):
            node = self._origin.node(found)
            line = _line(node)
            if found in self._shown:
                tree.add(line.append(" (see above)", style="dim") if self._step(found) else line)
                continue
            self._shown.add(found)
            branch = tree.add(line)
            _add_items(branch, self._origin, found)
            self.grow(branch, found)


def _line(node: Node, *, bold: bool = False) -> Text:
    line = _text(node.id, "bold" if bold else "")
    if node.made_at:
        line.append(f"  {_WORDING.made_at(node)}", style="dim")
    for note in _WORDING.notes(node):
        line.append(f" · {note}", style="green" if node.in_service and note.startswith("in service") else "")
    return line


def _add_items(tree: Tree, origin: Origin, artifact_id: str) -> None:
    items: Sequence[Item] = (origin.items or {}).get(artifact_id, [])
    for item in items[:MOST_ITEMS]:
        branch = tree.add(_text(f"{item.item_id} ({item.side})" if item.side else item.item_id))
        for source in item.sources:
            branch.add(_text(f"{source.role} · {source.feedback_id} · {source.person or 'nobody known'}"))
    counted = origin.node(artifact_id).feedback
    if items and counted and counted.items > MOST_ITEMS:
        tree.add(_text(f"… and {counted.items - MOST_ITEMS:,} more", "dim"))


def _feedback_table(difference: Difference) -> Table:
    table = _table("feedback", "rows", "people")
    for name, changed in (("added", difference.feedback_added), ("removed", difference.feedback_removed)):
        known = [one for one in changed.by_person if one.person is not None]
        table.add_row(name, f"{changed.rows:,}", f"{len(known):,}")
        for person, rows in _people(changed):
            table.add_row(_text(f"  {person}"), rows, "")
    return table


def _people(changed: ChangedRows) -> Iterable[tuple[str, str]]:
    for one in changed.by_person[:_MOST_PEOPLE]:
        yield one.person or "nobody known", f"{one.rows:,}"
    if rest := changed.by_person[_MOST_PEOPLE:]:
        yield f"… and {len(rest):,} more", f"{sum(one.rows for one in rest):,}"


def _value(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys():
        return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value:.6g}" if isinstance(value, float) else shorten(str(value), _MOST_CHARS)


def _table(*columns: str, title: str | None = None) -> Table:
    table = Table(title=_text(title) if title else None, title_justify="left")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in ("items", "rows", "people") else "left"
        table.add_column(_text(column), overflow="fold", justify=justify)
    return table


def _text(untrusted: str, style: str = "") -> Text:
    return Text(printable(untrusted), style=style)
