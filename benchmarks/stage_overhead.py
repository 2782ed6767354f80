"""What the pipeline adds to a training stage: `dpo_model` through Dagster against the same TRL call in a plain script.

    GALILEU_PROFILE=cpu galileu demo             (once, so that the upstream artifacts are there)
    python benchmarks/stage_overhead.py --repeats 2

Both are whole processes, from their start to the saved adapter, run by turns. The pipeline also evaluates on held-out
pairs and generates samples, which the script does not; the stage's own clock says how long that took, and the ratio
is given with it and without it. On a CPU the pipeline's output layer and attention are faster ones than the script's
(docs/how-it-works.md), so the ratio may be below 1.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from galileu_pipeline.data_folder import PROJECT_ROOT, DataFolder
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.profiles.names import active_profile_name
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.dpo import DpoRecipe
from galileu_pipeline.training.settings import DpoSettings

FORCE = json.dumps({"ops": {"dpo_model": {"config": {"force": True}}}})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    repeats = parser.parse_args().repeats
    store = ArtifactStore(DataFolder.from_environment(), active_profile_name())
    plain, pipeline, evaluation = [], [], []
    for _ in range(repeats):
        plain.append(seconds(plain_command(store)))
        pipeline.append(seconds(pipeline_command()))
        evaluation.append(store.current("dpo_model").manifest.environment["seconds"]["evaluate"])
        print(f"plain script {plain[-1]:.1f} s, pipeline {pipeline[-1]:.1f} s, of it evaluation {evaluation[-1]:.1f} s")
    alike = [whole - extra for whole, extra in zip(pipeline, evaluation, strict=True)]
    print(f"profile {store.profile}, median of {repeats}:")
    print(f"  pipeline without its evaluation / plain script: {ratio(alike, plain):.3f}")
    print(f"  pipeline as it is              / plain script: {ratio(pipeline, plain):.3f}")


def plain_command(store: ArtifactStore) -> list[str]:
    """The script on the pipeline's own inputs and settings."""
    profile = load_profile(store.profile)
    stage = profile.stage("dpo", {})
    inputs = {name: store.current(name) for name in ("base_model", "sft_model", "dpo_dataset")}
    output = Path(tempfile.mkdtemp())
    settings = DpoSettings.model_validate(stage.settings.model_dump())
    recipe = DpoRecipe(stage.spec(inputs, output, output / "checkpoints"), settings, print)
    job = {
        "base": str(inputs["base_model"].path),
        "adapter": str(inputs["sft_model"].path),
        "dataset": str(inputs["dpo_dataset"].path),
        "output": str(output),
        "threads": stage.resources.cpus,
        "dtype": {"fp32": "float32", "bf16": "bfloat16"}[stage.resources.precision],
        "eval_examples": settings.eval_examples,
        "args": {**recipe.arguments(), "beta": settings.beta, "label_smoothing": settings.label_smoothing},
    }
    return [sys.executable, str(PROJECT_ROOT / "benchmarks" / "plain_dpo.py"), json.dumps(job)]


def pipeline_command() -> list[str]:
    module = ["--module-name", "galileu_pipeline.definitions"]
    return [
        *(sys.executable, "-m", "dagster", "asset", "materialize", "--select", "dpo_model"),
        *(*module, "--config-json", FORCE),
    ]


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_MODULE_NAME"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command[:4]} failed:\n{done.stderr[-2000:]}")
    return time.perf_counter() - started


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(ours) / statistics.median(theirs)


if __name__ == "__main__":
    main()
