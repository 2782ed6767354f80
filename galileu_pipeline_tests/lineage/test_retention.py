"""What goes and what stays when old models are removed."""

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.lineage import artifacts
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.retention import prune
from galileu_pipeline.lineage.verification import verify


@pytest.fixture(autouse=True)
def one_second_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = count()
    monkeypatch.setattr(
        artifacts, "utc_now", lambda: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=next(seconds))
    )


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


def write(folder: Path) -> Outcome:
    (folder / "file").write_bytes(b"x" * 1000)
    return Outcome()


def make(store: ArtifactStore, asset: str, *inputs: Artifact, number: int = 0) -> Artifact:
    def write_origin(folder: Path) -> Outcome:
        # An id is of the inputs' contents, so what is equal within would be the same input.
        (folder / "origin").write_text(f"{number} {[artifact.id for artifact in inputs]}")
        return write(folder)

    return store.make(Plan(asset, inputs, {"number": number}), write_origin).artifact


def train(store: ArtifactStore, number: int, *inputs: Artifact) -> tuple[Artifact, Artifact]:
    """A dataset, and a DPO model of it."""
    dataset = make(store, "dpo_dataset", number=number)
    return dataset, make(store, "dpo_model", dataset, *inputs, number=number)


def ids(store: ArtifactStore) -> set[str]:
    return {path.name for path in store.folders()}


def test_the_newest_stay_with_their_data(store: ArtifactStore) -> None:
    (old_data, old), (_, middle), (_, new) = (train(store, number) for number in range(3))
    found = prune(store, 2)
    assert [(removal.kind, removal.id) for removal in found.removed] == [("model", old.id), ("dataset", old_data.id)]
    assert {middle.id, new.id} < ids(store)
    assert (found.kept, len(ids(store))) == (4, 4)
    assert found.freed == sum(removal.size for removal in found.removed) > 2000
    assert verify(store) == []


def test_each_asset_has_its_own_newest(store: ArtifactStore) -> None:
    base = make(store, "base_model")
    models = [train(store, number, base)[1] for number in range(3)]
    prune(store, 1)
    assert {base.id, models[-1].id} < ids(store)
    assert len(ids(store)) == 3


def test_the_champion_and_whom_a_rollback_brings_back_stay(store: ArtifactStore) -> None:
    service = ChampionFile(store)
    chains = [train(store, number) for number in range(5)]
    first, second, undone, never, newest = (model for _, model in chains)
    service.promote(first.id, by="person", in_place_of=None)
    service.promote(second.id, by="person", in_place_of=first.id)
    service.promote(undone.id, by="person", in_place_of=second.id)
    service.roll_back()
    prune(store, 1)
    assert {first.id, second.id, newest.id} < ids(store)
    assert not {undone.id, never.id} & ids(store)
    service.roll_back()
    assert service.read().id == first.id
    assert verify(store) == []


def test_what_is_current_under_any_profile_stays(store: ArtifactStore) -> None:
    (_, old), (_, other), _ = (train(store, number) for number in range(3))
    analytics, forgotten = (make(store, "feedback_analytics", number=number) for number in range(2))
    ArtifactStore(store.data, "cpu").set_current(old)
    store.set_current(analytics)
    prune(store, 1)
    assert {old.id, analytics.id} < ids(store)
    assert not {other.id, forgotten.id} & ids(store)


def test_evaluations_stay_as_long_as_all_their_models(store: ArtifactStore) -> None:
    models = [train(store, number)[1] for number in range(3)]
    questions = make(store, "reward_dataset")
    judge = make(store, "reward_model", questions)
    of_old = make(store, "model_evaluation", models[0], models[2], judge, questions)
    of_new = make(store, "model_evaluation", models[1], models[2], judge, questions)
    about_old, about_new = (make(store, "promotion_decision", evaluation) for evaluation in (of_old, of_new))
    prune(store, 2)
    assert {of_new.id, about_new.id} < ids(store)
    assert not {of_old.id, about_old.id} & ids(store)


def test_a_decision_of_the_history_stays_with_all_it_compared(store: ArtifactStore) -> None:
    models = [train(store, number)[1] for number in range(3)]
    evaluation = make(store, "model_evaluation", models[0], models[1])
    decision = make(store, "promotion_decision", evaluation)
    ChampionFile(store).promote(models[2].id, by="rule", in_place_of=None, decision=decision.id)
    prune(store, 1)
    assert {decision.id, evaluation.id, *(model.id for model in models)} < ids(store)


def test_a_dry_run_removes_nothing(store: ArtifactStore) -> None:
    for number in range(3):
        train(store, number)
    (store.data.root / "models" / f".dpo_model-{'0' * 12}.deadbeef.partial").mkdir()
    before = sorted(store.data.root.rglob("*"))
    planned = prune(store, 1, dry_run=True)
    assert sorted(store.data.root.rglob("*")) == before
    done = prune(store, 1)
    assert (planned.removed, planned.kept) == (done.removed, done.kept)


def test_keep_at_least_one(store: ArtifactStore) -> None:
    with pytest.raises(InputError, match="at least 1"):
        prune(store, 0)


@pytest.mark.parametrize("spoil", ["manifest", "pointer", "champion", "intention"])
def test_what_cannot_be_read_stops_everything(store: ArtifactStore, spoil: str) -> None:
    (_, old), (_, new) = (train(store, number) for number in range(2))
    store.set_current(new)
    home = store.data.artifacts("dpo_model")
    path = {
        "manifest": new.path / "manifest.json",
        "pointer": store.data.pointer("tiny", "dpo_model"),
        "champion": store.data.champion,
        "intention": home / f".dpo_model-{'0' * 12}.inputs",
    }[spoil]
    path.write_bytes(b'{"id": "\xff')
    store.data.checkpoints(f"dpo_model-{'0' * 12}").mkdir(parents=True)
    before = ids(store)
    with pytest.raises(GalileuError, match=path.name.replace(".", r"\.")):
        prune(store, 1)
    assert ids(store) == before
    assert old.id in before


def test_rubbish_goes(store: ArtifactStore) -> None:
    dataset, model = train(store, 0)
    home, unknown = store.data.artifacts("dpo_model"), f"dpo_model-{'0' * 12}"
    rubbish = [
        home / f".{model.id}.deadbeef.partial",
        home / unknown,
        store.data.checkpoints(model.id),
        store.data.root / "checkpoints" / f".{model.id}.deadbeef.partial",
    ]
    for path in rubbish:
        path.mkdir(parents=True)
        (path / "half").write_text("half")
    own = home / "my-llama"  # somebody put their own base model there
    own.mkdir()
    unfinished = store.data.checkpoints(unknown)
    unfinished.mkdir()
    found = prune(store, 1)
    assert {removal.path for removal in found.removed} == set(rubbish)
    assert found.freed == 4 * len("half")
    assert not any(path.exists() for path in rubbish)
    assert own.is_dir()
    assert unfinished.is_dir()
    assert {dataset.id, model.id} < ids(store)


@pytest.fixture
def in_the_making(store: ArtifactStore) -> Iterator[tuple[Artifact, Plan]]:
    """A model that another thread makes as long as the test runs, of a dataset that is no longer current."""
    started, go_on = threading.Event(), threading.Event()
    dataset = make(store, "dpo_dataset", number=100)
    plan = Plan("dpo_model", [dataset], {"number": 100})

    def slowly(folder: Path) -> Outcome:
        started.set()
        assert go_on.wait(60)
        return write(folder)

    thread = threading.Thread(target=lambda: store.make(plan, slowly, force=True))
    thread.start()
    assert started.wait(60)
    yield dataset, plan
    go_on.set()
    thread.join()
    assert verify(store, plan.id) == []


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_being_made_stays_and_what_it_is_made_of(
    store: ArtifactStore, in_the_making: tuple[Artifact, Plan], dry_run: bool
) -> None:
    dataset, plan = in_the_making
    (_, old), (_, new) = (train(store, number) for number in range(2))
    store.data.checkpoints(plan.id).mkdir(parents=True)
    found = prune(store, 1, dry_run=dry_run)
    assert [removal.id for removal in found.removed if removal.kind == "model"] == [old.id]
    assert {dataset.id, new.id} < ids(store)
    assert not [removal for removal in found.removed if removal.id == plan.id]
    assert store.data.checkpoints(plan.id).is_dir()


def test_an_artifact_that_is_being_made_again_stays(store: ArtifactStore) -> None:
    (_, old), _ = (train(store, number) for number in range(2))
    with store.lock(old.id):
        held = threading.Thread(target=lambda: prune(store, 1))
        held.start()
        held.join()
        assert old.id in ids(store)
    prune(store, 1)
    assert old.id not in ids(store)


def test_a_killed_training_can_go_on(store: ArtifactStore) -> None:
    dataset = make(store, "dpo_dataset", number=100)
    plan = Plan("dpo_model", [dataset], {})
    scratch = store.data.checkpoints(plan.id)

    def killed(folder: Path) -> Outcome:
        (scratch / "code").mkdir(parents=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make(plan, killed, scratch=scratch)
    assert prune(store, 1).removed == []
    store.make(plan, write, scratch=scratch)
    assert store.in_the_making() == {}
    assert not scratch.exists()
    train(store, 1)
    assert {removal.id for removal in prune(store, 1).removed} == {plan.id, dataset.id}


def test_a_failure_without_checkpoints_leaves_nothing(store: ArtifactStore) -> None:
    def fail(folder: Path) -> Outcome:
        raise RuntimeError

    dataset = make(store, "dpo_dataset")
    with pytest.raises(RuntimeError):
        store.make(Plan("dpo_model", [dataset], {}), fail)
    assert store.in_the_making() == {}
    assert [removal.id for removal in prune(store, 1).removed] == [dataset.id]


def test_one_that_comes_into_service_meanwhile_stays(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    chains = [train(store, number) for number in range(3)]
    remove = shutil.rmtree

    def promote_another_first(path: Path) -> None:
        if ChampionFile(store).read().id is None:
            left = next(model for _, model in chains[:2] if model.path.is_dir())
            ChampionFile(store).promote(left.id, by="person", in_place_of=None)
        remove(path)

    monkeypatch.setattr("galileu_pipeline.lineage.retention.shutil.rmtree", promote_another_first)
    prune(store, 1)
    champion = ChampionFile(store).read().id
    assert champion in ids(store)
    assert verify(store) == []
    assert len(ids(store)) == 4


def test_one_of_which_something_is_made_meanwhile_stays(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody begins between the last look and the renaming; whoever comes second gives way."""
    dataset, _ = train(store, 0)
    train(store, 1)
    rename, go_on = Path.rename, threading.Event()
    plan = Plan("dpo_model", [dataset], {"begun": "meanwhile"})
    threads: list[threading.Thread] = []

    def begin_first(path: Path, target: Path) -> Path:
        if path == dataset.path and not threads:
            begun = threading.Event()

            def slowly(folder: Path) -> Outcome:
                begun.set()
                assert go_on.wait(60)
                return write(folder)

            threads.append(threading.Thread(target=lambda: store.make(plan, slowly)))
            threads[0].start()
            assert begun.wait(60)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", begin_first)
    prune(store, 1)
    go_on.set()
    threads[0].join()
    assert {dataset.id, plan.id} < ids(store)
    assert verify(store) == []


def test_nothing_is_made_of_what_has_been_removed(store: ArtifactStore) -> None:
    dataset = make(store, "dpo_dataset")
    prune(store, 1)
    with pytest.raises(MissingArtifactError, match="Materialize dpo_dataset again"):
        make(store, "dpo_model", dataset)
    assert store.in_the_making() == {}


def test_what_was_made_just_now_stays(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for minutes in (20, 1):
        now = datetime.now(UTC) - timedelta(minutes=minutes)
        monkeypatch.setattr(artifacts, "utc_now", lambda now=now: now)
        made.append(make(store, "dpo_dataset", number=minutes))
    assert [removal.id for removal in prune(store, 1).removed] == [made[0].id]
    assert ids(store) == {made[1].id}


def test_a_word_of_a_killed_process_protects_nothing(store: ArtifactStore) -> None:
    (data, old), _ = (train(store, number) for number in range(2))
    stale = old.path.with_name(f".{old.id}.inputs")
    stale.write_text(json.dumps({"inputs": [data.id]}))
    assert {removal.id for removal in prune(store, 1).removed} == {old.id, data.id}
    assert not stale.exists()


def test_a_removal_that_fails_leaves_no_half(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, old), _ = (train(store, number) for number in range(2))

    def fail(path: Path) -> None:
        (path / "file").unlink()
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("galileu_pipeline.lineage.retention.shutil.rmtree", fail)
    with pytest.raises(GalileuError, match=f"{old.id} could not be removed"):
        prune(store, 1)
    monkeypatch.undo()
    assert store.find(old.id) is None
    assert verify(store) == []
    prune(store, 1)
    assert not list(store.data.root.rglob("*.partial"))


def test_an_empty_data_folder(store: ArtifactStore) -> None:
    assert prune(store, 1).model_dump() == {"dry_run": False, "kept": 0, "removed": [], "freed": 0}


ASSETS = ("preference_pairs", "dpo_dataset", "base_model", "dpo_model", "model_evaluation", "promotion_decision")
NODES = st.lists(st.tuples(st.sampled_from(ASSETS), st.sets(st.integers(0, 11), max_size=3)), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(nodes=NODES, data=st.data())
def test_any_graph(nodes: list[tuple[str, set[int]]], data: st.DataObject) -> None:
    """A node's inputs are nodes before it."""
    with tempfile.TemporaryDirectory() as folder, mock.patch("os.fsync"):  # which would take most of the time
        store = ArtifactStore(DataFolder(Path(folder)), "tiny")
        made: list[Artifact] = []
        for number, (asset, places) in enumerate(nodes):
            made.append(make(store, asset, *(made[place] for place in places if place < number), number=number))
        models = [artifact for artifact in made if artifact.manifest.asset.endswith("_model")]
        for artifact in data.draw(st.lists(st.sampled_from(made), max_size=2)):
            store.set_current(artifact)
        promotions = (
            data.draw(st.lists(st.sampled_from(models), max_size=3, unique_by=lambda model: model.id)) if models else []
        )
        service = ChampionFile(store)
        for model in promotions:
            service.promote(model.id, by="person", in_place_of=service.read().id)
        keep = data.draw(st.integers(1, 3))
        found = prune(store, keep)

        left = ids(store)
        assert len(left) == found.kept
        assert left | {removal.id for removal in found.removed} == {artifact.id for artifact in made}
        for name in left:
            assert {ref.id for ref in store.load(name).manifest.inputs} <= left
        assert {model.id for model in promotions} <= left
        assert store.current_ids() <= left
        for asset in ("base_model", "dpo_model"):
            assert {model.id for model in [m for m in models if m.manifest.asset == asset][-keep:]} <= left
        assert verify(store) == []
        assert prune(store, keep).removed == []


def test_the_command_shows_what_goes(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from galileu_pipeline.cli.console import app

    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    (old_data, old), (_, new) = (train(store, number) for number in range(2))
    planned = CliRunner().invoke(app, ["prune", "--keep", "1", "--dry-run", "--json"])
    assert planned.exit_code == 0
    assert [removal["id"] for removal in json.loads(planned.stdout)["removed"]] == [old.id, old_data.id]
    assert old.id in ids(store)
    done = CliRunner().invoke(app, ["prune", "--keep", "1"])
    assert "freed" in done.stdout
    assert ids(store) & {old.id, new.id} == {new.id}
    assert CliRunner().invoke(app, ["prune", "--keep", "0"]).exit_code == 2
