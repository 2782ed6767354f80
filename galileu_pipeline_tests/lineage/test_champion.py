"""Who is in service, through any history of promotions and rollbacks."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.lineage.artifacts import ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import Champion, ChampionFile, Change, in_service
from galileu_pipeline.lineage.manifest import utc_now


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


@pytest.fixture
def service(store: ArtifactStore) -> ChampionFile:
    return ChampionFile(store)


@pytest.fixture
def one(store: ArtifactStore) -> str:
    return a_model(store, 1)


@pytest.fixture
def two(store: ArtifactStore) -> str:
    return a_model(store, 2)


def a_model(store: ArtifactStore, number: int) -> str:
    def write(folder: Path) -> Outcome:
        (folder / "weights.bin").write_bytes(bytes(16))
        return Outcome()

    return store.make(Plan("dpo_model", [], {"number": number}), write).artifact.id


def test_nobody_is_promoted_at_first(service: ChampionFile) -> None:
    assert service.read() == Champion()
    with pytest.raises(InputError, match="no promotion to undo"):
        service.roll_back()


def test_promotion_and_rollback_leave_their_history(service: ChampionFile, one: str, two: str) -> None:
    service.promote(one, by="rule", in_place_of=None, decision="promotion_decision-333333333333")
    service.promote(two, by="person", in_place_of=one, reason="um teste")
    back = service.roll_back("pior em fatos")
    assert (back.id, back.rolled_back) == (one, {two})
    assert [(change.how, change.by, change.id, change.replaced) for change in back.history] == [
        ("promoted", "rule", one, None),
        ("promoted", "person", two, one),
        ("rolled_back", "person", one, two),
    ]
    assert service.roll_back().id is None
    assert service.read().rolled_back == {one, two}
    assert service.promote(two, by="person", in_place_of=None).rolled_back == {one}


def test_a_decision_about_somebody_elses_place_is_not_carried_out(service: ChampionFile, one: str, two: str) -> None:
    service.promote(one, by="person", in_place_of=None)
    with pytest.raises(GalileuError, match="has come into service since"):
        service.promote(two, by="rule", in_place_of=None)
    with pytest.raises(InputError, match="in service already"):
        service.promote(one, by="person", in_place_of=one)
    assert service.read().id == one


def test_of_many_at_once_one_takes_the_place(service: ChampionFile, store: ArtifactStore) -> None:
    outcomes: list[str] = []
    models = [a_model(store, number) for number in range(16)]

    def promote(model: str) -> None:
        try:
            service.promote(model, by="rule", in_place_of=None)
            outcomes.append("promoted")
        except GalileuError:
            outcomes.append("refused")

    threads = [threading.Thread(target=promote, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["promoted"] + ["refused"] * 15
    assert len(service.read().history) == 1


def test_a_file_with_an_id_alone_is_read(service: ChampionFile, tmp_path: Path, one: str, two: str) -> None:
    (tmp_path / "champion.json").write_text(json.dumps({"id": one}))
    assert service.read() == Champion(id=one)
    assert service.promote(two, by="person", in_place_of=one).before == [one]


def test_only_models_that_are_there_come_into_service(
    service: ChampionFile, store: ArtifactStore, one: str, two: str
) -> None:
    with pytest.raises(MissingArtifactError, match="dpo_model-000000000000"):
        service.promote("dpo_model-000000000000", by="person", in_place_of=None)
    service.promote(one, by="person", in_place_of=None)
    service.promote(two, by="person", in_place_of=one)
    shutil.rmtree(store.load(one).path)
    with pytest.raises(MissingArtifactError, match=one):
        service.roll_back()
    assert in_service(store).id == two
    shutil.rmtree(store.load(two).path)
    with pytest.raises(MissingArtifactError, match="galileu promote ID"):
        in_service(store)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "changed file": lambda folder: flip(folder / "weights.bin"),
    "missing file": lambda folder: (folder / "weights.bin").unlink(),
    "foreign file": lambda folder: (folder / "model.safetensors").write_bytes(b"x"),
    "edited manifest": lambda folder: edit(folder / "manifest.json"),
}


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)


def edit(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"number": 2', '"number": 3'))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_that_is_not_what_its_manifest_says_comes_into_service_neither_way(
    service: ChampionFile, store: ArtifactStore, one: str, two: str, damage: str
) -> None:
    whole = store.load(two).path
    service.promote(two, by="person", in_place_of=None)
    service.promote(one, by="person", in_place_of=two)
    DAMAGES[damage](whole)
    with pytest.raises(GalileuError, match=f"{two} is not what its manifest says: {damage}"):
        service.roll_back()
    with pytest.raises(GalileuError, match="neither compared, promoted nor served"):
        service.promote(two, by="rule", in_place_of=one)
    assert in_service(store).id == one


@given(st.lists(st.one_of(st.none(), st.integers(0, 4))))
def test_rollbacks_undo_promotions_as_a_stack_does(moves: list[int | None]) -> None:
    """A number promotes that model; None rolls back."""
    champion, reigns = Champion(), [None]
    for move in moves:
        promoted = None if move is None else f"dpo_model-{move:012}"
        if promoted == champion.id or (promoted is None and not champion.before):
            continue
        target = promoted if promoted is not None else champion.before[0]
        how = "promoted" if promoted is not None else "rolled_back"
        change = Change(at=utc_now(), how=how, by="person", id=target, replaced=champion.id)
        champion = Champion(id=target, history=[*champion.history, change])
        reigns = [*reigns, promoted] if promoted is not None else reigns[:-1]
        assert [champion.id, *champion.before] == reigns[::-1]
        assert champion.id not in champion.rolled_back or how == "rolled_back"
