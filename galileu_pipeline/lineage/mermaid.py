"""The lineage graph for Mermaid, which GitHub and many wikis draw."""

from galileu_pipeline.lineage.origin import Origin
from galileu_pipeline.lineage.wording import LineageWording
from galileu_pipeline.markdown import printable

_MARKUP = str.maketrans({mark: f"#{ord(mark)};" for mark in "#&<>\"'`\\[](){}|;"})


def mermaid(origin: Origin) -> str:
    """A flow chart from left to right. Names are shown as they are, markup and all."""
    wording = LineageWording("en")
    places = {node.id: f"n{number}" for number, node in enumerate(origin.nodes)}
    lines = ["flowchart LR"]
    for node in origin.nodes:
        label = "<br/>".join(_text(line) for line in (node.id, *wording.notes(node)))
        lines.append(f'    {places[node.id]}["{label}"]')
    lines += [f"    {places[source]} --> {places[target]}" for source, target in origin.edges]
    lines.append(f"    style {places[origin.subject]} stroke-width:3px")
    return "\n".join(lines) + "\n"


def _text(untrusted: str) -> str:
    return printable(untrusted).translate(_MARKUP)
