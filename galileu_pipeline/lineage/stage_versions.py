"""What a stage's results depend on besides inputs, settings and seed: its own code, and the libraries it runs on.

`stage_versions.yaml` says it for every stage. `version` is raised by hand when a change of the stage's sources changes
its results. `sources` is the fingerprint of the sources that were last looked at; a test fails where they are others,
until either the version is raised or the change is marked as leading to the same results: scripts/stage_versions.py.
"""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

VERSIONS_FILE = Path(__file__).with_suffix(".yaml")


class StageVersion(BaseModel):
    """With what an artifact was made, as far as it decides the result; part of the artifact's id.

    Version 0 without libraries is said of what was made before stages had versions: its id knows nothing of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(0, ge=0)
    libraries: dict[str, str | None] = Field({}, description="version by name; None for one that is not installed")

    def identity(self) -> dict[str, Any]:
        """What it adds to what an id is made of."""
        return {"stage_version": self.model_dump(mode="json")} if self.version else {}


class StageEntry(BaseModel):
    """A stage in `stage_versions.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(ge=1)
    libraries: list[str] = Field(description="the packages that decide the result")
    entries: list[str] = Field(
        description="where its code begins, below the package: a module, or `module.py:function` for that function"
    )
    sources: str = Field(description="fingerprint of all that these lead to; see stage_sources.py")


@cache
def stage_entries() -> dict[str, StageEntry]:
    """Every stage by the asset it makes."""
    return read_entries(VERSIONS_FILE)


def read_entries(path: Path) -> dict[str, StageEntry]:
    """As `stage_entries`, of another file like it."""
    import yaml  # here: what only reads manifests starts without it

    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {asset: StageEntry.model_validate(entry) for asset, entry in content.items()}


@cache
def stage_version(asset: str) -> StageVersion:
    """The version of the stage that makes `asset`, in this code and with what is installed here.

    Raises:
        KeyError: `stage_versions.yaml` says nothing of it.
    """
    entry = stage_entries()[asset]
    return StageVersion(version=entry.version, libraries={name: _installed(name) for name in entry.libraries})


def code_version(asset: str) -> str:
    """The same in one line, by which Dagster tells what is stale: "1 (duckdb 2.0.1)"."""
    found = stage_version(asset)
    libraries = ", ".join(f"{name} {number}" for name, number in found.libraries.items())
    return f"{found.version} ({libraries})" if libraries else str(found.version)


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
