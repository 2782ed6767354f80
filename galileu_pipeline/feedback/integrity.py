"""What must hold of pairs before anything is trained on them; each function gives the offenders."""

import pyarrow as pa
import pyarrow.compute as pc


def equal_sides(pairs: pa.Table) -> list[str]:
    """Ids of the pairs whose chosen and rejected text are the same."""
    return pairs.filter(pc.equal(pairs["chosen"], pairs["rejected"]))["pair_id"].to_pylist()


def queries_in_both_splits(pairs: pa.Table) -> list[str]:
    """Query keys that are in the training split and in the test split."""
    sides = [set(pairs.filter(pc.equal(pairs["split"], split))["query_key"].to_pylist()) for split in ("train", "test")]
    return sorted(sides[0] & sides[1])


def rows_by_split(pairs: pa.Table) -> dict[str, int]:
    """Number of pairs of each split."""
    return {split: pc.sum(pc.equal(pairs["split"], split)).as_py() or 0 for split in ("train", "test")}
