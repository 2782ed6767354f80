"""The figures of an evaluation as a picture."""

import io

from galileu_pipeline.evaluation.results import Evaluation
from galileu_pipeline.evaluation.texts import TEXTS
from galileu_pipeline.languages import Language

_PANELS = ("win_rate", "reward", "preference_accuracy", "length", "perplexity_ratio", "canaries")
_EVEN = {"win_rate": 0.5, "preference_accuracy": 0.5, "perplexity_ratio": 1.0}
# Okabe & Ito's colours: told apart by colour-blind readers too.
_CANDIDATE, _CHAMPION = "#0072B2", "#D55E00"


def plot_evaluation(evaluation: Evaluation, language: Language) -> bytes:
    """PNG: a panel a measure, a row a model, each with its 95 % interval; the model in service in another colour."""
    from matplotlib.figure import Figure  # half a second to import

    names = [model.id for model in evaluation.models]
    figure = Figure(figsize=(11, 1.6 + 0.9 * len(names)), dpi=90, layout="constrained")
    panels = figure.subplots(2, 3, sharey=True)
    for axes, measure in zip(panels.flat, _PANELS, strict=True):
        for row, model in enumerate(evaluation.models):
            estimate = getattr(model, measure)
            if estimate is None:
                continue
            colour = _CHAMPION if model.id == evaluation.champion else _CANDIDATE
            axes.plot([estimate.low, estimate.high], [row, row], color=colour, linewidth=2)
            axes.plot(estimate.value, row, "o", color=colour, markersize=6)
        if measure in _EVEN:
            axes.axvline(_EVEN[measure], color="0.6", linewidth=1, linestyle="--")
        axes.set_title(TEXTS[language][measure], fontsize=9)
        axes.grid(axis="x", alpha=0.3)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
