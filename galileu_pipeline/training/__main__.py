"""`python -m galileu_pipeline.training STAGE --spec spec.json`: one stage in a process of its own.

Writes the artifact's files where the spec says and `result.json` beside the spec. Under Dagster it reports through
Pipes; alone it prints to stderr.
"""

import argparse
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from galileu_pipeline.loading import loading
from galileu_pipeline.process import Report, hush, serve
from galileu_pipeline.training.devices import own_devices
from galileu_pipeline.training.settings import StageName, StageResult, StageSpec

if TYPE_CHECKING:
    from galileu_pipeline.training.runner import Recipe


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
    with own_devices(os.environ, spec.resources, report):
        return _run(spec, report)


def _run(spec: StageSpec, report: Report) -> StageResult:
    with loading():
        hush()
        work = _work(spec.stage)
    return work(spec, report)


def _work(stage: StageName) -> Callable[[StageSpec, Report], StageResult]:
    # Imported here, and only what the stage needs: libraries take seconds, and a wrong command line needs none.
    if stage == "base":
        from galileu_pipeline.training import base

        return base.run
    from galileu_pipeline.training import runner

    return partial(runner.train, _recipe(stage))


def _recipe(stage: StageName) -> "type[Recipe[Any]]":
    if stage == "sft":
        from galileu_pipeline.training.sft import SftRecipe

        return SftRecipe
    if stage == "reward":
        from galileu_pipeline.training.reward import RewardRecipe

        return RewardRecipe
    if stage == "dpo":
        from galileu_pipeline.training.dpo import DpoRecipe

        return DpoRecipe
    from galileu_pipeline.training.ppo.recipe import PpoRecipe

    return PpoRecipe


if __name__ == "__main__":
    sys.exit(main())
