"""Artifacts: whole or not there, found again by what they were made of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.lineage import artifacts
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.digests import files_digest, json_digest
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.lineage.verification import verify


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


def write_text(text: str):  # type: ignore[no-untyped-def]
    def write(folder: Path) -> Outcome:
        (folder / "sub").mkdir()
        (folder / "sub" / "file.txt").write_text(text)
        return Outcome(metrics={"length": len(text)})

    return write


def make(
    store: ArtifactStore, text: str = "x", asset: str = "dpo_dataset", inputs: tuple[Artifact, ...] = ()
) -> Artifact:
    return store.make(Plan(asset, list(inputs), {"text": text}, seed=1), write_text(text)).artifact


def test_the_manifest_says_what_it_was_made_of(store: ArtifactStore) -> None:
    upstream = make(store, asset="preference_pairs")
    run = RunInfo(dagster_run_id="r", job="j")
    made = store.make(Plan("dpo_dataset", [upstream], {"a": 1}, seed=3), write_text("hello"), run=run).artifact
    raw = json.loads((made.path / "manifest.json").read_text())
    assert raw["schema"] == 1
    assert raw["inputs"] == [{"asset": "preference_pairs", "id": upstream.id, "digest": upstream.manifest.digest}]
    assert (raw["config"], raw["seed"], raw["metrics"], raw["run"]["job"]) == ({"a": 1}, 3, {"length": 5}, "j")
    assert list(raw["files"]) == ["sub/file.txt"]
    assert raw["digest"] == files_digest(raw["files"])
    assert {"python", "torch", "trl", "peft"} <= raw["environment"].keys()
    assert made.path.parent == store.data.root / "datasets"


def test_the_same_plan_is_made_once(store: ArtifactStore) -> None:
    plan = Plan("dpo_dataset", [], {})
    first = store.make(plan, write_text("x"))
    second = store.make(plan, write_text("never written"))
    assert (first.reused, second.reused) == (False, True)
    assert second.artifact.manifest == first.artifact.manifest


def test_force_makes_it_anew_in_its_place(store: ArtifactStore) -> None:
    plan = Plan("dpo_dataset", [], {})
    store.make(plan, write_text("old"))
    made = store.make(plan, write_text("new"), force=True)
    assert not made.reused
    assert (made.artifact.path / "sub" / "file.txt").read_text() == "new"
    assert not list(store.data.root.rglob("*.partial"))


@pytest.mark.parametrize("force", [False, True])
def test_a_failure_publishes_nothing_and_harms_nothing(store: ArtifactStore, force: bool) -> None:
    before = make(store, "kept")
    plan = Plan("dpo_dataset", [], {"text": "kept"} if force else {"text": "other"}, seed=1)

    def fail(folder: Path) -> Outcome:
        (folder / "half").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.make(plan, fail, force=force)
    assert [path.name for path in before.path.parent.iterdir() if path.is_dir()] == [before.id]
    assert verify(store, before.id) == []


def test_what_a_killed_process_left_is_swept(store: ArtifactStore) -> None:
    plan = Plan("dpo_dataset", [], {})
    home = store.data.root / "datasets"
    for name in (f".{plan.id}.deadbeef.partial", plan.id):
        (home / name).mkdir(parents=True)
        (home / name / "half").write_text("half")
    assert store.find(plan.id) is None
    assert not store.make(plan, write_text("x")).reused
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == [plan.id]


def test_a_broken_manifest_is_an_error_with_a_remedy(store: ArtifactStore) -> None:
    made = make(store)
    (made.path / "manifest.json").write_text("{")
    with pytest.raises(GalileuError, match=r"Move .* away"):
        store.load(made.id)


@pytest.mark.parametrize("bad", ["../x-1", "..", "", "A-1", "/etc/passwd", "x/y-1", "a" * 65, "dpo_model-1\n"])
def test_an_id_is_never_a_path(store: ArtifactStore, bad: str) -> None:
    with pytest.raises(InputError, match="is not an artifact id"):
        store.load(bad)


def test_current_is_by_profile_and_names_what_is_missing(store: ArtifactStore) -> None:
    made = make(store)
    with pytest.raises(MissingArtifactError, match=r"`dpo_dataset` has not been .*--select dpo_dataset"):
        store.current("dpo_dataset")
    store.set_current(made)
    assert store.current("dpo_dataset").id == made.id
    with pytest.raises(MissingArtifactError, match="with profile `cpu`"):
        ArtifactStore(store.data, "cpu").current("dpo_dataset")


def test_models_passes_over_locks_and_rubbish(store: ArtifactStore) -> None:
    made = make(store, asset="sft_model")
    (store.data.root / "models" / ".sft_model-0.deadbeef.partial").mkdir()
    (store.data.root / "models" / "sft_model-000000000000").mkdir()
    assert [artifact.id for artifact in store.models()] == [made.id]


def test_the_id_hangs_on_inputs_config_and_seed(store: ArtifactStore) -> None:
    one, other = make(store, "1", "preference_pairs"), make(store, "2", "preference_pairs")
    ids = {
        Plan("dpo_dataset", inputs, config, seed).id
        for inputs, config, seed in (([one], {}, 0), ([other], {}, 0), ([one], {"a": 1}, 0), ([one], {}, 1))
    }
    assert len(ids) == 4
    assert Plan("dpo_dataset", [one], {"a": 1, "b": 2}).id == Plan("dpo_dataset", [one], {"b": 2, "a": 1}).id


def test_two_processes_with_one_plan_make_it_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from galileu_pipeline.data_folder import DataFolder;"
        "from galileu_pipeline.lineage.artifacts import *;"
        "root = Path(sys.argv[1]);"
        "write = lambda folder: ((folder / 'f').write_text('x'), Outcome())[1];"
        "print(ArtifactStore(DataFolder(root), 'tiny').make(Plan('dpo_dataset', [], {}), write).reused)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    reused = sorted(process.communicate()[0].strip() for process in processes)
    assert reused == ["False", "True", "True"]


FILES = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text("01", min_size=1, max_size=3), max_size=4)


@given(one=FILES, other=FILES)
def test_the_digest_changes_exactly_when_a_file_does(one: dict[str, str], other: dict[str, str]) -> None:
    assert (files_digest(one) == files_digest(other)) == (one == other)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_json_digest_survives_a_round_trip(value: object) -> None:
    assert json_digest(json.loads(json.dumps(value))) == json_digest(value)


@pytest.mark.parametrize("killed_after", ["its manifest", "the old one went"])
def test_a_publication_that_was_killed_is_finished(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, killed_after: str
) -> None:
    plan = Plan("dpo_dataset", [], {})
    if killed_after == "the old one went":
        store.make(plan, write_text("old"))

    def killed(staging: Path, target: Path) -> None:
        if target.exists():
            target.rename(target.with_name(f".{target.name}.0badcafe.partial"))
        staging.rename(staging.with_name(f".{target.name}.feedf00d.partial"))  # or it would be cleaned away
        raise KeyboardInterrupt

    monkeypatch.setattr(ArtifactStore, "_publish", staticmethod(killed))
    with pytest.raises(KeyboardInterrupt):
        store.make(plan, write_text("new"), force=True)
    monkeypatch.undo()
    assert store.find(plan.id) is None
    made = store.make(plan, write_text("never written"))
    assert made.reused
    assert verify(store, made.artifact.id) == []
    assert not list(store.data.root.rglob("*.partial"))


def test_a_publication_that_fails_leaves_the_old_one(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("dpo_dataset", [], {})
    before = store.make(plan, write_text("old")).artifact
    rename = Path.rename

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == plan.id and (path / "sub" / "file.txt").read_text() == "new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space left"):
        store.make(plan, write_text("new"), force=True)
    assert store.load(plan.id).manifest == before.manifest
    assert verify(store, plan.id) == []


def test_what_served_a_making_that_was_killed_after_its_publication_goes_with_the_next(store: ArtifactStore) -> None:
    plan = Plan("dpo_dataset", [], {})
    store.make(plan, write_text("x"))
    scratch = store.data.checkpoints(plan.id)
    scratch.mkdir(parents=True)
    assert store.make(plan, write_text("x"), scratch=scratch).reused
    assert not scratch.exists()


WRITES = 18  # more than a publication needs


def fail_at(patch: pytest.MonkeyPatch, number: int) -> list[str]:
    """A disk that is full from the Nth change on; deletions go well. Returns what was changed."""
    changes: list[str] = []

    def wrap(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def change(*arguments: Any, **options: Any) -> Any:
            changes.append(name)
            if len(changes) >= number:
                raise OSError(28, "No space left on device")
            return function(*arguments, **options)

        patch.setattr(owner, name, change)

    for name in ("write_text", "mkdir", "rename", "replace"):
        wrap(Path, name)
    wrap(artifacts, "sync")
    return changes


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("number", range(1, WRITES))
def test_wherever_the_disk_is_full_the_last_good_state_stays(store: ArtifactStore, number: int, force: bool) -> None:
    plan = Plan("dpo_dataset", [], {})
    if force:
        store.make(plan, write_text("old"))
    with pytest.MonkeyPatch.context() as patch:
        changes = fail_at(patch, number)
        try:
            store.make(plan, write_text("new"), force=True)
        except OSError:
            assert len(changes) >= number
        else:
            assert len(changes) < number
    made = store.make(plan, write_text("new"))
    assert (made.artifact.path / "sub" / "file.txt").read_text() in ({"old", "new"} if force else {"new"})
    assert verify(store, plan.id) == []
    assert not list(store.data.root.rglob("*.partial"))


def test_no_publication_needs_more_writes_than_are_tried(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan("dpo_dataset", [], {})
    store.make(plan, write_text("old"))
    changes = fail_at(monkeypatch, 1000)
    store.make(plan, write_text("new"), force=True)
    assert 6 < len(changes) < WRITES
