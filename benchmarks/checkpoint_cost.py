"""What checkpoints cost: the time that writing them takes, as a share of training, measured in one run.

    GALILEU_PROFILE=cpu python benchmarks/checkpoint_cost.py [--stages sft dpo] [--steps 8]

Trains each stage of the profile on questions of the usual length, with the profile's `save_steps`, and counts the
seconds that are spent in writing checkpoints: all of it, digests and waiting for the disk included.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import crash_side

from galileu_pipeline.process import hush
from galileu_pipeline.profiles.names import active_profile_name
from galileu_pipeline.profiles.schema import load_profile
from galileu_pipeline.training.checkpoints import WholeCheckpoints
from galileu_pipeline.training.settings import StageName
from galileu_pipeline.training.stages import make_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=crash_side.STAGES, default=["sft"])
    parser.add_argument("--steps", type=int, default=8)
    arguments = parser.parse_args()
    hush()
    with tempfile.TemporaryDirectory(prefix="galileu-checkpoints-") as folder:
        for stage in arguments.stages:
            print(measure(Path(folder), stage, arguments.steps), flush=True)


def measure(root: Path, name: StageName, steps: int) -> str:
    """One stage of the active profile, from the base model and datasets that are made here."""
    profile = load_profile(active_profile_name())
    store = crash_side.open_store(root)
    crash_side.make_datasets(
        store, padding="A luneta mostrou montanhas na Lua, e quatro luas em torno de Júpiter. " * 3
    )
    earlier: list[StageName] = ["base"] if name == "sft" else ["base", "sft"]
    for upstream in earlier:
        stage = profile.stage(upstream, {} if upstream == "base" else {"max_steps": 1})
        inputs = {asset: store.current(asset) for asset in crash_side.INPUTS[upstream]}
        store.set_current(make_model(store, stage, inputs, crash_side.launch).artifact)
    spent: list[float] = []
    write = WholeCheckpoints._save_checkpoint

    def timed(self: WholeCheckpoints, model: Any, trial: Any) -> None:
        began = time.perf_counter()
        write(self, model, trial)
        spent.append(time.perf_counter() - began)

    WholeCheckpoints._save_checkpoint = timed  # type: ignore[method-assign]
    try:
        stage = profile.stage(name, {"max_steps": steps, "eval_steps": 10 * steps})
        inputs = {asset: store.current(asset) for asset in crash_side.INPUTS[name]}
        made = make_model(store, stage, inputs, crash_side.launch, force=True).artifact
    finally:
        WholeCheckpoints._save_checkpoint = write  # type: ignore[method-assign]
    training = made.manifest.environment["seconds"]["train"]
    return (
        f"{profile.name}, {name}: {len(spent)} checkpoints in {steps} steps took {sum(spent):.2f} s of the "
        f"{training:.1f} s of training, {sum(spent) / training:.2%}"
    )


if __name__ == "__main__":
    main()
