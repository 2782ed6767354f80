"""Which feedback is behind each row of a training set: `sources.parquet` of every dataset folder.

Its rows are (item_id, feedback_id, person, role). An item is a pair or an example, by its id. Roles: `chosen` and
`rejected` (a vote on that answer of a pair), `choice` and `outvoted` (a side-by-side choice for or against a pair),
`answer` (a vote on the answer of an example), `held_out` (a vote on a held-out answer), and `context`: a row about the
same question that helped to decide what is compared and how the question is worded. A question's context stands once,
beside its first item. `person` is a keyed hash, or null where nobody is known.

The file counts towards the dataset's digest. A dataset hangs on a few rows besides, those that kept something out of it
(`kept_out.parquet` of preference_pairs). With these, a row is in a dataset's lineage exactly if the dataset would be
another one without it.
(Beyond that, what the limit on one person's weight sets aside hangs on everybody's rows.)
"""

from pathlib import Path

import pyarrow.parquet as pq

from galileu_pipeline.database import in_memory
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback.pairing.datasets import write_table
from galileu_pipeline.feedback.statements import sql

SOURCES_NAME = "sources.parquet"
_GROUP_ROWS = 250_000  # questions about lineage scan these files; with small row groups that takes twice as long


def write_pair_sources(pairs: Path, dataset: Path) -> None:
    """Of a dataset of pairs, given the folders of `preference_pairs` and of the dataset."""
    _write("select_dataset_pair_sources", {"pairs": pairs}, dataset)


def write_reward_sources(pairs: Path, dataset: Path) -> None:
    """Of a dataset of pairs with the held-out answers.

    Raises:
        GalileuError: as `require_votes`.
    """
    require_votes(pairs)
    _write("select_dataset_reward_sources", {"pairs": pairs}, dataset)


def write_example_sources(pairs: Path, min_score: float, dataset: Path) -> None:
    """Of a dataset of the answers with at least that mean score. Curated examples have no source.

    Raises:
        GalileuError: as `require_votes`.
    """
    require_votes(pairs)
    _write("select_dataset_example_sources", {"pairs": pairs, "min_score": min_score}, dataset)


def require_votes(pairs: Path) -> None:
    """Make sure that the answers in a folder of `preference_pairs` name the votes on them.

    Raises:
        GalileuError: they are of a version in which they did not.
    """
    if "feedback_ids" not in pq.read_schema(pairs / "answers.parquet").names:
        raise GalileuError(f"{pairs.name} was made by an earlier version. Materialize preference_pairs, then go on.")


def _write(statement: str, values: dict[str, Path | float], dataset: Path) -> None:
    with in_memory() as connection:
        parameters = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        rows = connection.sql(sql(f"pairing/{statement}"), params=parameters).to_arrow_reader(_GROUP_ROWS)
        write_table(rows, dataset / SOURCES_NAME)
