"""The lineage graph as a picture: SVG that stands alone, in light and dark, for pages and for Dagster's UI."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from galileu_pipeline.languages import Language
from galileu_pipeline.lineage.layout import draw
from galileu_pipeline.lineage.origin import Origin, OriginNode
from galileu_pipeline.lineage.wording import LineageWording
from galileu_pipeline.markdown import printable, shorten

_MARGIN, _PADDING, _LINE_HEIGHT, _TITLE_HEIGHT = 18.0, 12.0, 17.0, 20.0
_NAME_CHAR = 8.9  # widths in pixels, on the safe side: fonts differ
_CHAR = {"id": 7.6, "note": 7.2, "serving": 8.0}
_MAX_CHARS = 44
_STYLE = """
.lineage { --paper: #ffffff; --ink: #1f2328; --faint: #5b6470; --edge: #9aa4b2; --serving: #15803d;
  --feedback: #fdf4dd; --feedback-line: #c08a10; --dataset: #e1f3ee; --dataset-line: #1f8a70;
  --model: #e7effc; --model-line: #2f6fd6; --verdict: #f2eafc; --verdict-line: #8250c4; }
@media (prefers-color-scheme: dark) {
  .lineage { --paper: #15181c; --ink: #e8eaed; --faint: #a4adb7; --edge: #66707c; --serving: #56d07f;
    --feedback: #33290f; --feedback-line: #d3a53c; --dataset: #12302a; --dataset-line: #45b296;
    --model: #17274a; --model-line: #6b9ef2; --verdict: #2b2042; --verdict-line: #b18ce8; }
}
.lineage .paper { fill: var(--paper); }
.lineage text { font: 12px system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; fill: var(--ink); }
.lineage .name { font-size: 14px; font-weight: 600; }
.lineage .id { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: var(--faint); }
.lineage .serving { fill: var(--serving); font-weight: 600; }
.lineage rect { stroke-width: 1.3; }
.lineage .subject rect { stroke-width: 3; }
.lineage .absent rect { stroke-dasharray: 6 4; }
.lineage .absent .name { fill: var(--faint); }
.lineage .curve { fill: none; stroke: var(--edge); stroke-width: 1.4; }
.lineage .tip { fill: var(--edge); }
.lineage .feedback rect { fill: var(--feedback); stroke: var(--feedback-line); }
.lineage .dataset rect { fill: var(--dataset); stroke: var(--dataset-line); }
.lineage .model rect { fill: var(--model); stroke: var(--model-line); }
.lineage .verdict rect { fill: var(--verdict); stroke: var(--verdict-line); }
"""


@dataclass(frozen=True)
class _Box:
    node: OriginNode
    name: str
    lines: Sequence[tuple[str, str]]  # class and text

    @property
    def height(self) -> float:
        return 2 * _PADDING + _TITLE_HEIGHT + _LINE_HEIGHT * (len(self.lines) - 0.5)

    @property
    def width(self) -> float:
        widths = (len(text) * _CHAR[kind] for kind, text in self.lines)
        return 2 * _PADDING + max(len(self.name) * _NAME_CHAR, *widths)


def svg(origin: Origin, language: Language) -> str:
    """The graph from left to right, the subject with a thick border. Names are shown as they are, markup and all."""
    wording = LineageWording(language)
    boxes = {node.id: _box(node, origin, wording) for node in origin.nodes}
    drawing = draw({name: (box.width, box.height) for name, box in boxes.items()}, origin.edges)
    whole_width, whole_height = drawing.width + 2 * _MARGIN, drawing.height + 2 * _MARGIN
    title = wording.texts["title"].format(id=origin.subject)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lineage" viewBox="0 0 {whole_width:.0f} {whole_height:.0f}" '
        f'width="{whole_width:.0f}" height="{whole_height:.0f}" role="img" aria-label="{_text(title)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8Z"/></marker></defs>',
        f'<rect class="paper" width="{whole_width:.0f}" height="{whole_height:.0f}"/>',
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">',
        *(f'<path class="curve" d="{curve}"{_tip(ends)}/>' for curve, ends in drawing.curves),
        *(_drawn(box, *drawing.places[name]) for name, box in boxes.items()),
        "</g></svg>",
    ]
    return "\n".join(parts)


def svg_address(picture: str) -> str:
    """An SVG as an address that holds the picture itself."""
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"


def _box(node: OriginNode, origin: Origin, wording: LineageWording) -> _Box:
    notes = wording.notes(node)
    if node.id == origin.subject and origin.feedback and origin.feedback.rows and not node.feedback:
        text = wording.feedback(origin.feedback)
        notes = [wording.texts["at_least"].format(feedback=text) if origin.unrecorded else text, *notes]
    serving = wording.reign(node.in_service[-1]) if node.in_service and not node.in_service[-1].until else None
    lines = [("id", _short(node.id.removeprefix(f"{node.asset}-")))]
    if node.made_at:
        lines.append(("note", wording.made_at(node)))
    lines += [("serving" if note == serving else "note", _short(note)) for note in notes]
    return _Box(node, _short(node.asset), lines)


def _drawn(box: _Box, x: float, y: float, width: float, height: float) -> str:
    marks = [_kind(box.node.asset)]
    marks += ["subject"] if box.node.relation == "subject" else []
    marks += ["absent"] if box.node.state in ("missing", "unreadable") else []
    left, line = x + _PADDING, y + _PADDING + 12
    rows = [f'<text class="name" x="{left:.1f}" y="{line:.1f}">{_text(box.name)}</text>']
    for number, (kind, text) in enumerate(box.lines):
        below = line + _TITLE_HEIGHT + _LINE_HEIGHT * number
        rows.append(f'<text class="{kind}" x="{left:.1f}" y="{below:.1f}">{_text(text)}</text>')
    return (
        f'<g class="{" ".join(marks)}"><title>{_text(box.node.id)}</title>'
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="8"/>{"".join(rows)}</g>'
    )


def _kind(asset: str) -> str:
    if asset.endswith("_model"):
        return "model"
    if asset.endswith(("_evaluation", "_decision")):
        return "verdict"
    return "dataset" if asset.endswith("_dataset") else "feedback"


def _tip(ends: bool) -> str:
    return ' marker-end="url(#tip)"' if ends else ""


def _short(text: str) -> str:
    return shorten(printable(text), _MAX_CHARS)


def _text(untrusted: str) -> str:
    return escape(printable(untrusted))
