"""`python -m galileu_pipeline.training STAGE --spec spec.json`: one stage in a process of its own.

Writes the artifact's files where the spec says and `result.json` beside the spec. Under Dagster it reports through
Pipes; alone it prints to stderr.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import get_args

from galileu_pipeline.process import Report, hush, serve
from galileu_pipeline.training.devices import limit_devices
from galileu_pipeline.training.settings import StageName, StageResult, StageSpec


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m galileu_pipeline.training", description="Run one training stage.")
    parser.add_argument("stage", choices=get_args(StageName))
    parser.add_argument("--spec", type=Path, required=True, help="spec.json, as StageSpec describes it")
    arguments = parser.parse_args()
    spec = StageSpec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    if spec.stage != arguments.stage:
        parser.error(f"{arguments.spec} is the spec of stage {spec.stage}")
    return serve(arguments.spec, lambda report: run(spec, report))


def run(spec: StageSpec, report: Report) -> StageResult:
    """Run the stage of `spec`; see the module of that name."""
    limit_devices(os.environ, spec.resources.gpus)
    hush()
    # Imported here: a wrong command line is answered at once, without waiting for PyTorch.
    from galileu_pipeline.training import base, runner
    from galileu_pipeline.training.dpo import DpoRecipe
    from galileu_pipeline.training.ppo.recipe import PpoRecipe
    from galileu_pipeline.training.reward import RewardRecipe
    from galileu_pipeline.training.sft import SftRecipe

    if spec.stage == "base":
        return base.run(spec, report)
    recipes: dict[str, type[runner.Recipe]] = {
        "sft": SftRecipe,
        "reward": RewardRecipe,
        "dpo": DpoRecipe,
        "ppo": PpoRecipe,
    }
    return runner.train(recipes[spec.stage], spec, report)


if __name__ == "__main__":
    sys.exit(main())
