"""Where everything lies: the data folder's layout, in one place."""

import os
from dataclasses import dataclass
from pathlib import Path

from galileu_pipeline.errors import InputError

ARTIFACT_KINDS = ("datasets", "models", "evaluations")
PROJECT_ROOT = Path(__file__).resolve().parents[1]
_PATTERN_SIGNS = "?*["


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds all the pipeline reads and writes."""

    root: Path

    @classmethod
    def from_environment(cls) -> "DataFolder":
        """`GALILEU_DATA_DIR`, or `data/` of the checkout this package runs from, or `data/` of the working folder.

        Raises:
            InputError: DuckDB would take the folder's name for a pattern, or cannot be told it.
        """
        if configured := os.environ.get("GALILEU_DATA_DIR"):
            root = Path(configured).expanduser().resolve()
        else:
            root = (PROJECT_ROOT if (PROJECT_ROOT / "pyproject.toml").is_file() else Path.cwd()) / "data"
        _require_plain_name(root)
        return cls(root)

    @property
    def feedback_db(self) -> Path:
        """SQLite, written by the chatbot."""
        return self.root / "feedback" / "feedback.db"

    @property
    def inbox(self) -> Path:
        """Files of feedback that wait to be imported."""
        return self.root / "inbox"

    @property
    def pseudonym_key(self) -> Path:
        """The secret with which identifiers of people are hashed. Back it up; show it to nobody."""
        return self.root / "pseudonym.key"

    @property
    def champion(self) -> Path:
        """The file that names the model in service, and those before it. Without it, the base model serves."""
        return self.root / "champion.json"

    @property
    def warehouse(self) -> Path:
        """DuckDB, written by the pipeline."""
        return self.root / "galileu.duckdb"

    @property
    def last_import(self) -> Path:
        """When files were last imported into the warehouse: what tells a sensor that there is something new."""
        return self.root / "feedback" / "last_import.txt"

    @property
    def erasures(self) -> Path:
        """What was erased at people's request: a tombstone each, without any of their texts."""
        return self.root / "erasures"

    @property
    def curated(self) -> Path:
        """Optional hand-written SFT examples, `*.jsonl` of {prompt, completion}."""
        return self.root / "curated"

    def artifacts(self, asset: str) -> Path:
        """The folder of an asset's artifacts."""
        if asset.endswith("_model"):
            return self.root / "models"
        return self.root / ("evaluations" if asset.endswith(("_evaluation", "_decision")) else "datasets")

    def checkpoints(self, artifact_id: str) -> Path:
        """What a model that is being trained leaves for the case that it is killed."""
        return self.root / "checkpoints" / artifact_id

    def pointer(self, profile: str, asset: str) -> Path:
        """The file that names the current artifact of `asset` under `profile`."""
        return self.root / "current" / profile / f"{asset}.json"

    def pointers(self) -> list[Path]:
        """The files that name what is current, of every profile."""
        return sorted((self.root / "current").glob("*/*.json"))


def _require_plain_name(root: Path) -> None:
    """DuckDB opens other files than the one named where a path has signs of a pattern."""
    shown = os.fsencode(root).decode("utf-8", "replace")
    if signs := [sign for sign in _PATTERN_SIGNS if sign in shown]:
        raise InputError(
            f"The data folder {shown} has {' and '.join(signs)} in its path, which DuckDB takes for a pattern. Rename "
            "the folder, or set GALILEU_DATA_DIR to another one."
        )
    if shown != str(root):
        raise InputError(
            f"The path of the data folder {shown} is not UTF-8. Rename the folder, or set GALILEU_DATA_DIR to "
            "another one."
        )
