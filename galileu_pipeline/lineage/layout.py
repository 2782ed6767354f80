"""A layered drawing of a graph: columns from left to right, few crossings, edges that pass between the boxes.

After Sugiyama, Tagawa and Toda (1981): layers by the longest path, places in the layers by barycentres; the heights
follow by isotonic regression, which puts each box as near to its neighbours as the order and the gaps allow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean

Edge = tuple[str, str]
_Slot = tuple[str, int]  # a node and a column: the node's own, or one that its edges pass through

BOX_GAP, COLUMN_GAP, LANE = 26.0, 84.0, 6.0
_SWEEPS = 12


@dataclass(frozen=True)
class Drawing:
    """Where everything goes, in pixels.

    Attributes:
        places: of each node its box: left edge, upper edge, width and height. Boxes of a column have the same width.
        curves: SVG paths, and whether each ends at a box (else it passes on to others).
    """

    width: float
    height: float
    places: dict[str, tuple[float, float, float, float]]
    curves: list[tuple[str, bool]]


def draw(sizes: Mapping[str, tuple[float, float]], edges: Iterable[Edge]) -> Drawing:
    """Lay out the nodes, given the least width and the height of each box. Edges of a node share their way at first."""
    edges = list(edges)
    column = columns(list(sizes), edges)
    segments = _segments(edges, column)
    layers = _ordered(_layers(list(sizes), segments, column), segments)
    height = {slot: sizes[slot[0]][1] if slot[1] == column[slot[0]] else LANE for layer in layers for slot in layer}
    middle = _heights(layers, segments, height)
    top = min((middle[slot] - height[slot] / 2 for slot in middle), default=0.0)
    bottom = max((middle[slot] + height[slot] / 2 for slot in middle), default=0.0)
    widths = [max(sizes[name][0] for name, at in column.items() if at == number) for number in range(len(layers))]
    left = [0.0, *accumulate(width + COLUMN_GAP for width in widths)]
    places = {}
    for name, number in column.items():
        upper = middle[name, number] - height[name, number] / 2 - top
        places[name] = (left[number], upper, widths[number], height[name, number])
    curves = []
    for start, end in segments:
        x0, y0 = left[start[1]] + widths[start[1]], middle[start] - top
        x1, y1 = left[end[1]], middle[end] - top
        ends = end[1] == column[end[0]]
        onward = "" if ends else f"H{x1 + widths[end[1]]:.1f}"
        bend = (x0 + x1) / 2
        curves.append((f"M{x0:.1f} {y0:.1f}C{bend:.1f} {y0:.1f} {bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}{onward}", ends))
    return Drawing(max(0.0, left[-1] - COLUMN_GAP), bottom - top, places, curves)


def columns(names: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """The longest distance of each node from the roots. Nodes in a circle, which no true manifest makes, come last."""
    column = dict.fromkeys(names, 0)
    waiting = {name: sum(target == name for _, target in edges) for name in names}
    ready = [name for name in names if not waiting[name]]
    for name in ready:  # grows while it is gone through
        for source, target in edges:
            if source == name:
                column[target] = max(column[target], column[name] + 1)
                waiting[target] -= 1
                if not waiting[target]:
                    ready.append(target)
    return column


def _segments(edges: Sequence[Edge], column: Mapping[str, int]) -> list[tuple[_Slot, _Slot]]:
    """Every edge as steps from column to column; steps that several edges of a node share are there once."""
    found: dict[tuple[_Slot, _Slot], None] = {}
    for source, target in edges:
        first, last = column[source], column[target]
        for number in range(first, last - 1):
            found[(source, number), (source, number + 1)] = None
        found[(source, max(first, last - 1)), (target, last)] = None
    return list(found)


def _layers(
    names: Sequence[str], segments: Sequence[tuple[_Slot, _Slot]], column: Mapping[str, int]
) -> list[list[_Slot]]:
    slots = dict.fromkeys([(name, column[name]) for name in names] + [slot for segment in segments for slot in segment])
    layers: list[list[_Slot]] = [[] for _ in range(1 + max(column.values(), default=-1))]
    for slot in slots:
        layers[slot[1]].append(slot)
    return layers


def _ordered(layers: list[list[_Slot]], segments: Sequence[tuple[_Slot, _Slot]]) -> list[list[_Slot]]:
    """The layers, each in the order with the fewest crossings that was met."""
    best, fewest = layers, _crossings(layers, segments)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        neighbours = _neighbours(segments, forward)
        place = {slot: number for layer in layers for number, slot in enumerate(layer)}
        moved = []
        for layer in layers if forward else layers[::-1]:
            around = {slot: [place[other] for other in neighbours.get(slot, ())] or [place[slot]] for slot in layer}
            ordered = sorted(layer, key=lambda slot: fmean(around[slot]))
            place.update((slot, number) for number, slot in enumerate(ordered))
            moved.append(ordered)
        layers = moved if forward else moved[::-1]
        if (crossings := _crossings(layers, segments)) < fewest:
            best, fewest = layers, crossings
    return best


def _crossings(layers: Sequence[Sequence[_Slot]], segments: Sequence[tuple[_Slot, _Slot]]) -> int:
    place = {slot: number for layer in layers for number, slot in enumerate(layer)}
    between: dict[int, list[tuple[int, int]]] = {}
    for start, end in segments:
        between.setdefault(start[1], []).append((place[start], place[end]))
    return sum(
        (one[0] - other[0]) * (one[1] - other[1]) < 0
        for pairs in between.values()
        for number, one in enumerate(pairs)
        for other in pairs[:number]
    )


def _neighbours(segments: Sequence[tuple[_Slot, _Slot]], forward: bool) -> dict[_Slot, list[_Slot]]:
    found: dict[_Slot, list[_Slot]] = {}
    for start, end in segments:
        slot, other = (end, start) if forward else (start, end)
        found.setdefault(slot, []).append(other)
    return found


def _heights(
    layers: Sequence[Sequence[_Slot]], segments: Sequence[tuple[_Slot, _Slot]], size: Mapping[_Slot, float]
) -> dict[_Slot, float]:
    """The middle of every slot."""
    middle = {slot: 0.0 for layer in layers for slot in layer}
    around = [_neighbours(segments, forward=True), _neighbours(segments, forward=False)]
    for sweep in range(2 * _SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wished = []
            for slot in layer:
                beside = [middle[other] for neighbours in around for other in neighbours.get(slot, ())]
                wished.append(fmean(beside) if beside else middle[slot])
            offsets = [0.0]
            for above, below in pairwise(layer):
                offsets.append(offsets[-1] + (size[above] + size[below]) / 2 + BOX_GAP)
            smooth = _isotonic([wish - offset for wish, offset in zip(wished, offsets, strict=True)])
            middle.update((slot, value + offset) for slot, value, offset in zip(layer, smooth, offsets, strict=True))
    return middle


def _isotonic(values: Sequence[float]) -> list[float]:
    """The nearest sequence (least squares) that never falls: neighbours that do are pooled."""
    blocks: list[tuple[float, int]] = []  # mean and length
    for value in values:
        mean, length = value, 1
        while blocks and blocks[-1][0] > mean:
            above, count = blocks.pop()
            mean, length = (above * count + mean * length) / (count + length), count + length
        blocks.append((mean, length))
    return [mean for mean, length in blocks for _ in range(length)]
