"""What must hold of pairs before anything is trained on them; each function gives the offenders."""

from itertools import combinations
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from galileu_pipeline.database import in_memory
from galileu_pipeline.feedback.pairing.datasets import SPLITS
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.feedback.pairing.provenance import require_votes
from galileu_pipeline.feedback.statements import sql

ONE_PAIR = 3.0
"""Items that one pair makes: itself in the reward data and in the DPO data, and its chosen answer in SFT's."""


def equal_sides(pairs: pa.Table) -> list[str]:
    """Ids of the pairs whose chosen and rejected text are the same."""
    return pairs.filter(pc.equal(pairs["chosen"], pairs["rejected"]))["pair_id"].to_pylist()


def queries_in_two_splits(pairs: pa.Table) -> list[str]:
    """Query keys that are in more than one split."""
    sides = [set(pairs.filter(pc.equal(pairs["split"], split))["query_key"].to_pylist()) for split in SPLITS]
    return sorted({key for one, other in combinations(sides, 2) for key in one & other})


def rows_by_split(pairs: pa.Table) -> dict[str, int]:
    """Number of pairs of each split."""
    return {split: pc.sum(pc.equal(pairs["split"], split)).as_py() or 0 for split in SPLITS}


class PersonWeight(BaseModel):
    """What a person weighs in the training data, in items, and of how many items in all."""

    model_config = ConfigDict(frozen=True)

    person: str
    weight: float
    votes: int
    items: float

    def exceeds(self, max_share: float) -> bool:
        """More than `max_share` of all items, and more than one pair, and with more than a single vote."""
        return self.votes > 1 and self.weight > max(ONE_PAIR, max_share * self.items) + 1e-6


def heaviest_people(preference_pairs: Path, settings: PairingSettings, most: int = 10) -> list[PersonWeight]:
    """The people who weigh most in SFT, reward and DPO data together, counted in the files of `preference_pairs`.

    Raises:
        GalileuError: as `require_votes`.
    """
    require_votes(preference_pairs)
    parameters = {"pairs": str(preference_pairs), "min_score": settings.sft_min_score, "most": most}
    with in_memory() as connection:
        rows = connection.execute(sql("pairing/weigh_people"), parameters).fetchall()
    return [
        PersonWeight(person=person, weight=weight, votes=votes, items=items) for person, weight, votes, items in rows
    ]
