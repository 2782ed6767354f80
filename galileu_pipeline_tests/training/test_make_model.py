"""From inputs to a published model: what happens when the process of a stage does well, and when it does not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import MissingArtifactError, StageError, StorageError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.stage_versions import StageVersion
from galileu_pipeline.lineage.verification import verify
from galileu_pipeline.process import ERROR_NAME, RESULT_NAME, Complaint
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.reproduction import reproduce
from galileu_pipeline.training.settings import MicroBatch, StageResult, StageSpec
from galileu_pipeline.training.stages import make_model, write_model


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


def upstream(store: ArtifactStore, asset: str, text: str = "x", inputs: tuple[Artifact, ...] = ()) -> Artifact:
    def write(folder: Path) -> Outcome:
        (folder / "file").write_text(text)
        return Outcome()

    return store.make(Plan(asset, list(inputs), {"text": text}), write).artifact


def spec_of(command: list[str]) -> StageSpec:
    return StageSpec.model_validate_json(Path(command[command.index("--spec") + 1]).read_text())


@pytest.mark.slow
def test_the_tiny_base_through_a_real_process(store: ArtifactStore) -> None:
    import subprocess

    made = make_model(
        store, load_profile("tiny").stage("base", {}), {}, lambda command: subprocess.run(command, check=True)
    )
    assert not made.reused
    assert (made.artifact.path / "model.safetensors").is_file()
    assert made.artifact.id in (made.artifact.path / "README.md").read_text()
    assert verify(store, made.artifact.id) == []


def test_without_room_on_the_disk_nothing_is_started(store: ArtifactStore) -> None:
    stage = load_profile("tiny").stage("base", {})
    greedy = replace(stage, resources=stage.resources.model_copy(update={"disk_gb": 1e6}))
    with pytest.raises(StorageError, match=r"GiB are free at .*, of 1e\+06 that are needed .*galileu prune"):
        make_model(store, greedy, {}, lambda command: pytest.fail("started"))
    assert store.models() == []


def test_a_model_of_an_earlier_version_is_reproduced_under_its_own_name(store: ArtifactStore) -> None:
    stage = load_profile("tiny").stage("base", {})
    plan = replace(stage.plan({}), made_by=StageVersion())

    def launch(command: list[str]) -> None:
        (spec_of(command).output / "model.safetensors").write_bytes(b"weights")
        Path(command[-1]).with_name(RESULT_NAME).write_text(StageResult(metrics={}).model_dump_json())

    def write(folder: Path) -> Outcome:
        result = write_model(stage, plan, {}, folder, folder / "none", launch)
        return Outcome(metrics=result.metrics)

    earlier = store.make(plan, write).artifact
    assert earlier.id != stage.plan({}).id
    assert reproduce(store, earlier, launch).differing == []


@pytest.mark.parametrize("threads", [1, 3])
def test_a_model_is_reproduced_with_its_own_number_of_threads(store: ArtifactStore, threads: int) -> None:
    inputs = {"base_model": upstream(store, "base_model"), "sft_dataset": upstream(store, "sft_dataset")}
    plan = load_profile("tiny").stage("sft", {}).plan(inputs)
    made = store.make(plan, lambda folder: Outcome(environment={"devices": ["cpu"], "threads": threads})).artifact

    def launch(command: list[str]) -> None:
        assert spec_of(command).resources.cpus == threads
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        reproduce(store, made, launch)


def test_the_spec_names_the_inputs(store: ArtifactStore) -> None:
    base = upstream(store, "base_model")
    sft = upstream(store, "sft_model", inputs=(base,))
    pairs = upstream(store, "dpo_dataset")
    seen: list[StageSpec] = []

    def launch(command: list[str]) -> None:
        seen.append(spec_of(command))
        raise RuntimeError("stop here")

    inputs = {"base_model": base, "sft_model": sft, "dpo_dataset": pairs}
    with pytest.raises(RuntimeError, match="stop here"):
        make_model(store, load_profile("tiny").stage("dpo", {"beta": 0.7}), inputs, launch)
    (spec,) = seen
    assert (spec.stage, spec.base, spec.base_id, spec.adapter, spec.dataset) == (
        "dpo",
        base.path,
        base.id,
        sft.path,
        pairs.path,
    )
    assert spec.settings["beta"] == 0.7


def test_the_next_run_of_a_plan_starts_with_the_micro_batch_that_the_last_one_came_down_to(
    store: ArtifactStore,
) -> None:
    base = upstream(store, "base_model")
    inputs = {"base_model": base, "sft_dataset": upstream(store, "sft_dataset")}
    stage = load_profile("tiny").stage("sft", {})
    used = MicroBatch(size=2, accumulation=8, eval_size=4, devices=["NVIDIA H100"])
    made = store.make(stage.plan(inputs), lambda folder: Outcome(environment={"micro_batch": used.model_dump()}))
    seen: list[StageSpec] = []

    def launch(command: list[str]) -> None:
        seen.append(spec_of(command))
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        make_model(store, stage, inputs, launch, force=True)
    assert [spec.micro_batch for spec in seen] == [used]
    assert verify(store, made.artifact.id) == []


def test_the_message_of_a_failed_stage_reaches_the_user_and_nothing_is_published(store: ArtifactStore) -> None:
    def launch(command: list[str]) -> None:
        complaint = Complaint(message="The loss became nan. Lower learning_rate.", transient=False, exit_code=1)
        Path(command[-1]).with_name(ERROR_NAME).write_text(complaint.model_dump_json())
        raise RuntimeError("exit code 1")

    with pytest.raises(StageError, match="Lower learning_rate"):
        make_model(store, load_profile("tiny").stage("base", {}), {}, launch)
    assert [path.name for path in (store.data.root / "models").iterdir() if not path.name.endswith(".lock")] == []


def test_a_process_that_ends_without_a_result_is_a_failure(store: ArtifactStore) -> None:
    with pytest.raises(StageError, match="ended without a result"):
        make_model(store, load_profile("tiny").stage("base", {}), {}, lambda command: None)


def test_an_sft_model_of_another_base_is_refused(store: ArtifactStore) -> None:
    sft = upstream(store, "sft_model", inputs=(upstream(store, "base_model", "old"),))
    inputs = {
        "base_model": upstream(store, "base_model", "new"),
        "sft_model": sft,
        "dpo_dataset": upstream(store, "dpo_dataset"),
    }
    with pytest.raises(MissingArtifactError, match="Materialize sft_model again"):
        make_model(store, load_profile("tiny").stage("dpo", {}), inputs, lambda command: None)


def test_threads_are_not_part_of_the_id_but_precision_is(store: ArtifactStore) -> None:
    stage = load_profile("cpu").stage("dpo", {})
    from dataclasses import replace

    more_threads = replace(stage, resources=stage.resources.model_copy(update={"cpus": 64}))
    full_precision = replace(stage, resources=stage.resources.model_copy(update={"precision": "fp32"}))
    assert stage.plan({}).id == more_threads.plan({}).id
    assert stage.plan({}).id != full_precision.plan({}).id
    assert json.dumps(stage.plan({}).config)  # what goes into the manifest is plain JSON


@pytest.mark.parametrize(
    ("change", "told"),
    [({"alpha": 64}, "alpha is 64, not 32"), ({"r": 4}, "r is 4"), ({"target_modules": ["q"]}, "'q'")],
)
def test_an_adapter_of_another_shape_is_refused(store: ArtifactStore, change: dict[str, object], told: str) -> None:
    base = upstream(store, "base_model")
    stage = load_profile("tiny").stage("dpo", {})

    def write(folder: Path) -> Outcome:
        (folder / "file").write_text("x")
        return Outcome()

    config = {"lora": {**stage.lora.model_dump(mode="json"), **change}}
    sft = store.make(Plan("sft_model", [base], config), write).artifact
    inputs = {"base_model": base, "sft_model": sft, "dpo_dataset": upstream(store, "dpo_dataset")}
    with pytest.raises(MissingArtifactError, match="Materialize sft_model again") as error:
        make_model(store, stage, inputs, lambda command: None)
    assert told in str(error.value)
