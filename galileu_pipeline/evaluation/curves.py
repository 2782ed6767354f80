"""Training curves as a picture."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito's colours: told apart by colour-blind readers too.
_TRAINING, _HELD_OUT = "#0072B2", "#D55E00"
_LABELS = {
    "loss": "loss",
    "rewards/margins": "reward margin (chosen - rejected)",  # as TRL's DPOTrainer names it
    "margin": "reward margin (chosen - rejected)",  # as its RewardTrainer does
}
_PPO_LABELS = {
    "reward": "reward",
    "rlhf_reward": "reward as trained on, less the KL penalty",
    "kl": "KL to the reference (nats an answer)",
    "answer_length": "answer length (tokens)",
    "ended": "answers that end (share)",
    "entropy": "entropy (nats a token)",
    "value_loss": "value loss",
    "explained_variance": "explained variance of the values",
    "approx_kl": "KL of an update (nats a token)",
}
_COLUMNS = 3


def read_log(path: Path) -> list[dict[str, float]]:
    """The points of `training_log.jsonl`, in order."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plot_curves(log: Sequence[dict[str, float]], title: str) -> bytes:
    """PNG of a stage's figures over its steps, training and held-out: of PPO what tells a healthy run from a reward
    that is being gamed, of the other stages the loss and, where there is one, the reward margin.
    """
    from matplotlib.figure import Figure  # half a second to import

    names = {name.removeprefix("eval_") for point in log for name in point}
    labels = _PPO_LABELS if "kl" in names else _LABELS
    panels = [(name, label) for name, label in labels.items() if name in names]
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * rows), dpi=90, layout="constrained")
    for axes, (name, label) in zip(figure.subplots(rows, columns, squeeze=False).flat, panels, strict=True):
        _draw(axes, log, name, label)
    figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: "Axes", log: Sequence[dict[str, float]], name: str, label: str) -> None:
    for series, colour, marker, legend in (
        (name, _TRAINING, "", "training"),
        (f"eval_{name}", _HELD_OUT, "o", "held-out"),
    ):
        points = [(point["step"], point[series]) for point in log if series in point]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, markersize=4, label=legend)
    if "margin" in name:
        axes.axhline(0, color="0.7", linewidth=0.8)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
