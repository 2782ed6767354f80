"""What taught a model about a question: the items of its datasets on that question, or on the nearest ones, and the
votes behind them. Read from the artifacts' files alone, as all lineage is.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.graph import Graph
from galileu_pipeline.lineage.sources import Source, execute, open_files

MEASURE = "Jaccard index of the trigrams of characters in the questions' pairing keys"
_SPLITS, _SOURCES = ("train.parquet", "validation.parquet", "test.parquet"), "sources.parquet"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class TaughtItem(_Record):
    """A pair or an example on a question. What is not in the split `train` was only measured on."""

    dataset: str
    split: Literal["train", "validation", "test"]
    item_id: str
    answer: str = Field(description="the answer that was imitated, or preferred")
    rejected: str | None = Field(description="the answer it was preferred to; None for an example")
    votes: list[Source] = Field(description="none for a hand-written example")


class NearQuestion(_Record):
    """A question of the datasets."""

    question: str
    same: bool = Field(description="it has the same pairing key: for the pipeline it is the same question")
    similarity: float = Field(ge=0, le=1)
    items: list[TaughtItem]


class Teaching(_Record):
    """What taught `model` about `question`, the nearest first."""

    model: str
    question: str
    measure: str
    near: list[NearQuestion]
    unreadable: list[str] = Field(description="datasets behind the model that are gone, or do not name their sources")


def teaching(store: ArtifactStore, model: Artifact, question: str, *, most: int = 3) -> Teaching:
    """The training questions nearest to `question`: those with its pairing key, then the most similar ones.

    Args:
        store: where the inputs of the model lie.
        most: how many questions besides the same one; those that share no trigram are left out.

    Raises:
        InputError: it is no model, or the question is empty.
        GalileuError: a dataset cannot be read.
    """
    if not model.manifest.asset.endswith("_model"):
        raise InputError(f"{model.id} is no model. `galileu models` lists them.")
    graph = Graph.read(store, model)
    cleaner = _cleaner(graph, model)
    cleaned = cleaner.text(question)
    if not cleaned.strip():
        raise InputError("The question is empty.")
    behind = graph.datasets(model.id)
    datasets = [found for name in behind if (found := graph.artifacts.get(name)) and _is_readable(found)]
    questions = sorted({text for dataset in datasets for text in _questions(dataset)})
    nearest = _nearest(cleaner.folded_query(cleaned), {text: cleaner.folded_query(text) for text in questions}, most)
    items: dict[str, list[TaughtItem]] = {text: [] for text, _, _ in nearest}
    for dataset in datasets:
        for text, item in _items(dataset, list(items)):
            items[text].append(item)
    return Teaching(
        model=model.id,
        question=question,
        measure=MEASURE,
        near=[
            NearQuestion(question=text, same=same, similarity=similarity, items=items[text])
            for text, same, similarity in nearest
        ],
        unreadable=sorted(set(behind) - {dataset.id for dataset in datasets}),
    )


def similarity(one: str, other: str) -> float:
    """Jaccard index of the sets of trigrams of two texts, each with a space put before and behind. 0 to 1."""
    mine, others = _trigrams(one), _trigrams(other)
    return len(mine & others) / len(mine | others) if mine or others else 0.0


def _nearest(key: str, keys: dict[str, str], most: int) -> list[tuple[str, bool, float]]:
    """(question, whether it is the same one, similarity): the same ones, then `most` others."""
    scored = [(text, found == key, similarity(key, found)) for text, found in keys.items()]
    same = [entry for entry in scored if entry[1]]
    others = sorted((entry for entry in scored if not entry[1] and entry[2]), key=lambda entry: (-entry[2], entry[0]))
    return same + others[:most]


@lru_cache(maxsize=8)  # one question is held against all others
def _trigrams(text: str) -> frozenset[str]:
    padded = f" {text} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))


def _cleaner(graph: Graph, model: Artifact) -> TextCleaner:
    """As the feedback behind the model was cleaned, so that keys are made in the same way."""
    known = [graph.artifacts[name] for name in graph.ancestors(model.id) if name in graph.artifacts]
    raw = next((found for found in known if found.manifest.asset == "raw_feedback"), None)
    return TextCleaner(bool(raw.manifest.config.get("repair_text", True)) if raw else True)


def _is_readable(dataset: Artifact) -> bool:
    return bool(_splits(dataset)) and (dataset.path / _SOURCES).is_file()


def _splits(dataset: Artifact) -> list[str]:
    return [str(dataset.path / name) for name in _SPLITS if (dataset.path / name).is_file()]


def _questions(dataset: Artifact) -> list[str]:
    splits = _splits(dataset)
    with open_files(splits) as connection:
        return [row[0] for row in execute(connection, "select_questions", splits=splits).fetchall() if row[0]]


def _items(dataset: Artifact, questions: Sequence[str]) -> Iterable[tuple[str, TaughtItem]]:
    if not questions:
        return
    splits, source = _splits(dataset), str(dataset.path / _SOURCES)
    statement = "select_examples_about" if dataset.manifest.asset == "sft_dataset" else "select_pairs_about"
    with open_files([*splits, source]) as connection:
        rows = execute(connection, statement, splits=splits, questions=questions).fetchall()
        votes: dict[str, list[Source]] = {row[2]: [] for row in rows}
        for item_id, feedback_id, person, role in execute(
            connection, "select_sources_of", source=source, items=list(votes)
        ).fetchall():
            votes[item_id].append(Source(feedback_id=feedback_id, person=person, role=role))
    for text, split, item_id, answer, rejected in rows:
        yield (
            text,
            TaughtItem(
                dataset=dataset.id,
                split=split,
                item_id=item_id,
                answer=answer,
                rejected=rejected,
                votes=votes[item_id],
            ),
        )
