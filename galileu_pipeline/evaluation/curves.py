"""Training curves as a picture."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito's colours: told apart by colour-blind readers too.
_TRAINING, _HELD_OUT = "#0072B2", "#D55E00"
_MARGINS = ("rewards/margins", "margin")


def read_log(path: Path) -> list[dict[str, float]]:
    """The points of `training_log.jsonl`, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plot_curves(log: Sequence[dict[str, float]], title: str) -> bytes:
    """PNG of the loss over the steps, training and held-out; and of the reward margin where the stage has one."""
    margin = next((name for name in _MARGINS if any(name in point for point in log)), None)
    figure = Figure(figsize=(9.0 if margin else 5.0, 3.4), dpi=90, layout="constrained")
    axes = figure.subplots(1, 2 if margin else 1, squeeze=False)[0]
    _draw(axes[0], log, "loss", "loss")
    if margin:
        _draw(axes[1], log, margin, "reward margin (chosen - rejected)")
        axes[1].axhline(0, color="0.7", linewidth=0.8)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Axes, log: Sequence[dict[str, float]], name: str, label: str) -> None:
    for series, colour, marker, legend in (
        (name, _TRAINING, "", "training"),
        (f"eval_{name}", _HELD_OUT, "o", "held-out"),
    ):
        points = [(point["step"], point[series]) for point in log if series in point]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, label=legend)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
