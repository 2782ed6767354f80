"""`manifest.json`: what an artifact is, what it was made from, with what, and by which code. Schema 1."""

import platform
import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline import __version__
from galileu_pipeline.lineage.digests import PACKAGE, code_digest, json_digest
from galileu_pipeline.lineage.stage_versions import StageVersion

MANIFEST_NAME = "manifest.json"
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
_RECORDED_PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "duckdb", "dagster")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ArtifactRef(_Record):
    """An artifact as another one's manifest names it. `digest` is over its files."""

    asset: str
    id: str = Field(pattern=ID_PATTERN)
    digest: str


class CodeInfo(_Record):
    """Which code made the artifact. `git_commit` and `dirty` are None outside a git checkout."""

    version: str
    digest: str
    git_commit: str | None
    dirty: bool | None


class RunInfo(_Record):
    """The Dagster run."""

    dagster_run_id: str
    job: str


class Manifest(_Record):
    """The record of lineage of one artifact directory; see the module's docstring."""

    schema_version: Literal[1] = Field(1, alias="schema")
    asset: str
    id: str = Field(pattern=ID_PATTERN)
    created_at: datetime
    inputs: list[ArtifactRef]
    config: dict[str, Any]
    seed: int | None
    code: CodeInfo
    stage_version: StageVersion = Field(StageVersion(), description="version 0: made before stages had versions")
    environment: dict[str, Any]
    run: RunInfo | None
    files: dict[str, str]
    digest: str
    metrics: dict[str, Any]
    resumed_from: str | None = None
    seal: str = Field("", description="sha256 over all the rest; tells a manifest that was edited")

    @property
    def ref(self) -> ArtifactRef:
        return ArtifactRef(asset=self.asset, id=self.id, digest=self.digest)

    def sealed(self) -> "Manifest":
        """The same with the seal that belongs to it."""
        # The seal of one made before stages had versions says nothing of them.
        left_out = {"seal"} if self.stage_version.version else {"seal", "stage_version"}
        content = self.model_dump(mode="json", by_alias=True, exclude=left_out)
        return self.model_copy(update={"seal": json_digest(content)})


def utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@cache
def code_info() -> CodeInfo:
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--", str(PACKAGE))
    return CodeInfo(
        version=__version__,
        digest=code_digest(),
        git_commit=commit or None,
        dirty=None if commit is None or status is None else bool(status),
    )


def package_versions() -> dict[str, str | None]:
    """The versions that decide a result; None for a package that is not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in _RECORDED_PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(PACKAGE), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
