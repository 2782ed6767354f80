"""Where everything lies: the data folder's layout, in one place."""

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds all the pipeline reads and writes."""

    root: Path

    @classmethod
    def from_environment(cls) -> "DataFolder":
        """`GALILEU_DATA_DIR`, or `data/` of the checkout this package runs from, or `data/` of the working folder."""
        if configured := os.environ.get("GALILEU_DATA_DIR"):
            return cls(Path(configured).expanduser().resolve())
        home = PROJECT_ROOT if (PROJECT_ROOT / "pyproject.toml").is_file() else Path.cwd()
        return cls(home / "data")

    @property
    def feedback_db(self) -> Path:
        """SQLite, written by the chatbot."""
        return self.root / "feedback" / "feedback.db"

    @property
    def pseudonym_key(self) -> Path:
        """The secret with which identifiers of people are hashed. Back it up; show it to nobody."""
        return self.root / "pseudonym.key"

    @property
    def champion(self) -> Path:
        """The file that names the model the chat serves. Without it, the base model is served."""
        return self.root / "champion.json"

    @property
    def warehouse(self) -> Path:
        """DuckDB, written by the pipeline."""
        return self.root / "galileu.duckdb"

    @property
    def curated(self) -> Path:
        """Optional hand-written SFT examples, `*.jsonl` of {prompt, completion}."""
        return self.root / "curated"

    def artifacts(self, asset: str) -> Path:
        """The folder of an asset's artifacts."""
        return self.root / ("models" if asset.endswith("_model") else "datasets")

    def pointer(self, profile: str, asset: str) -> Path:
        """The file that names the current artifact of `asset` under `profile`."""
        return self.root / "current" / profile / f"{asset}.json"
