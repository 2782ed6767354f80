"""What a stage makes is called by the version of its code, and no source changes unnoticed."""

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from galileu_pipeline.lineage import artifacts, stage_versions
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.digests import PACKAGE, json_digest
from galileu_pipeline.lineage.stage_sources import (
    changed_stages,
    imported_packages,
    mark_same_results,
    raise_version,
    source_files,
)
from galileu_pipeline.lineage.stage_versions import (
    VERSIONS_FILE,
    StageVersion,
    code_version,
    stage_entries,
    stage_version,
)
from galileu_pipeline.lineage.verification import verify

# Of what a stage imports, what would make something else in another version.
DECIDING = {"torch", "transformers", "trl", "peft", "accelerate", "duckdb", "ftfy", "tarja", "krippendorff"}
# Statements that read the warehouse for people, or write files for other programs.
OF_NO_STAGE = ("pairing/sql/export_", "pairing/sql/weigh_people.sql")


def test_every_change_of_a_stage_s_sources_was_looked_at() -> None:
    changed = " ".join(changed_stages(VERSIONS_FILE))
    assert not changed, (
        f"The sources of {changed} have changed. If what they make is what was made before: "
        f"scripts/stage_versions.py --same-results {changed}; if not: scripts/stage_versions.py --raise {changed}."
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the sources."""
    kept = {".py", ".sql", ".yaml", ".txt"}

    def others(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(folder) / name).is_file() and Path(name).suffix not in kept]

    return shutil.copytree(PACKAGE, tmp_path / "package", ignore=others)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "concerned", "others"),
    [
        ("feedback/pairing/sql/merge_pairs.sql", {"preference_pairs"}, {"raw_feedback", "dpo_model", "base_model"}),
        ("feedback/pairing/sql/pair_all_pairs.sql", {"preference_pairs"}, {"dpo_model"}),
        ("feedback/ingestion/sql/judge_rows.sql", {"raw_feedback"}, {"preference_pairs", "dpo_model"}),
        ("training/dpo.py", {"dpo_model"}, {"sft_model", "ppo_model", "dpo_dataset"}),
        (
            "training/runner.py",
            {"sft_model", "reward_model", "control_reward_model", "dpo_model", "ppo_model"},
            {"base_model"},
        ),
        ("training/ppo/objective.py", {"ppo_model"}, {"dpo_model"}),
        ("training/tiny_corpus.txt", {"base_model"}, {"dpo_model"}),
        ("evaluation/canaries.yaml", {"model_evaluation"}, {"promotion_decision", "dpo_model"}),
        ("evaluation/promotion.py", {"promotion_decision"}, {"model_evaluation"}),
    ],
)
def test_a_change_concerns_the_stages_that_use_it(
    package: Path, tmp_path: Path, source: str, concerned: set[str], others: set[str]
) -> None:
    versions = Path(shutil.copy(VERSIONS_FILE, tmp_path))
    with (package / source).open("a", encoding="utf-8") as file:
        file.write("\n")
    changed = changed_stages(versions, package)
    assert concerned <= set(changed)
    assert not others & set(changed)


def test_a_new_version_or_the_mark_of_same_results_settles_it(package: Path, tmp_path: Path) -> None:
    versions = Path(shutil.copy(VERSIONS_FILE, tmp_path))
    stages = package / "feedback" / "stages.py"
    stages.write_text(stages.read_text().replace('Plan("dpo_dataset", [preference_pairs]', 'Plan("dpo_dataset", []'))
    (package / "feedback" / "pairing" / "sql" / "merge_pairs.sql").write_text("SELECT 1;")
    assert changed_stages(versions, package) == ["preference_pairs", "dpo_dataset"]
    raise_version(versions, ["preference_pairs"], package)
    assert changed_stages(versions, package) == ["dpo_dataset"]
    mark_same_results(versions, ["dpo_dataset"], package)
    assert changed_stages(versions, package) == []
    now = stage_versions.read_entries(versions)
    before = stage_entries()
    raised = {stage: now[stage].version - before[stage].version for stage in before}
    assert {stage for stage, by in raised.items() if by} == {"preference_pairs"}
    assert raised["preference_pairs"] == 1


def test_no_statement_is_without_a_stage() -> None:
    known = {name for entry in stage_entries().values() for name in source_files(entry)}
    there = {path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "feedback").glob("*/sql/*.sql")}
    there = {name for name in there if name.startswith(("feedback/ingestion/", "feedback/pairing/"))}
    assert len(there) > 40
    assert not {name for name in there - known if not any(part in name for part in OF_NO_STAGE)}


@pytest.mark.parametrize("stage", stage_entries())
def test_the_libraries_that_it_uses_are_named(stage: str) -> None:
    entry = stage_entries()[stage]
    # Imported along the way, and idle there: a base has no adapter, an evaluation trains nothing, texts are cleaned for
    # raw_feedback and SFT.
    idle = {"base_model": {"peft", "accelerate"}, "model_evaluation": {"accelerate", "ftfy"}, "sft_dataset": set()}.get(
        stage, {"ftfy"}
    )
    assert imported_packages(entry) & (DECIDING - idle) <= {*entry.libraries}
    assert all(stage_version(stage).libraries.values())


def test_what_dagster_is_told() -> None:
    raised = stage_entries()["preference_pairs"].version
    assert code_version("preference_pairs") == f"{raised} (duckdb {version('duckdb')})"


def make(store: ArtifactStore, plan: Plan) -> tuple[Artifact, bool]:
    def write(folder: Path) -> Outcome:
        (folder / "file").write_text("x")
        return Outcome()

    made = store.make(plan, write)
    return made.artifact, made.reused


@pytest.mark.parametrize(
    "upgraded",
    [StageVersion(version=2, libraries={"trl": "1.0"}), StageVersion(version=1, libraries={"trl": "1.1"})],
    ids=["version", "library"],
)
def test_after_an_upgrade_it_is_made_again_and_the_old_one_stays(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, upgraded: StageVersion
) -> None:
    plan = Plan("dpo_model", [], {})
    at_first = StageVersion(version=1, libraries={"trl": "1.0"})
    monkeypatch.setattr(artifacts, "stage_version", lambda asset: at_first)
    old, _ = make(store, plan)
    assert make(store, plan) == (old, True)
    monkeypatch.setattr(artifacts, "stage_version", lambda asset: upgraded)
    new, reused = make(store, plan)
    assert (reused, new.manifest.stage_version) == (False, upgraded)
    assert store.load(old.id).manifest.stage_version == at_first
    assert [model.id for model in store.models()] != [old.id]
    assert verify(store) == []
    # What was begun with the old version goes on in a folder of its own.
    assert store.data.checkpoints(old.id) != store.data.checkpoints(plan.id)


def test_the_installed_library_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage_version("dpo_model")
    monkeypatch.setattr(stage_versions, "version", lambda name: "99" if name == "trl" else version(name))
    stage_version.cache_clear()
    try:
        after = stage_version("dpo_model")
    finally:
        stage_version.cache_clear()
    assert after.libraries == {**before.libraries, "trl": "99"}


def test_manifests_from_before_are_still_right(store: ArtifactStore) -> None:
    """Their ids, seals and texts know nothing of versions."""
    made, _ = make(store, Plan("dpo_model", [], {"a": 1}, 3, made_by=StageVersion()))
    assert made.id == "dpo_model-" + json_digest({"inputs": [], "config": {"a": 1}, "seed": 3})[:12]
    path = made.path / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["stage_version"]
    assert manifest["seal"] == json_digest({name: value for name, value in manifest.items() if name != "seal"})
    path.write_text(json.dumps(manifest))
    assert store.load(made.id).manifest == made.manifest
    assert verify(store) == []
    assert Plan("dpo_model", [], {"a": 1}, 3).id != made.id


def test_a_version_that_was_taken_away_or_changed_shows(store: ArtifactStore) -> None:
    for number, other in enumerate((StageVersion(), StageVersion(version=7))):
        made, _ = make(store, Plan("dpo_model", [], {"number": number}))
        forged = made.manifest.model_copy(update={"stage_version": other}).sealed()
        (made.path / "manifest.json").write_text(forged.model_dump_json(by_alias=True))
        assert [(fault.artifact, fault.kind) for fault in verify(store, made.id)] == [(made.id, "edited manifest")]
