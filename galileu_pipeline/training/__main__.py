"""`python -m galileu_pipeline.training STAGE --spec spec.json`: one stage in a process of its own.

Writes the artifact's files where the spec says and `result.json` beside the spec. Under Dagster it reports through
Pipes; alone it prints to stderr.
"""

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from dagster_pipes import PipesEnvVarParamsLoader, open_dagster_pipes

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.training.settings import ERROR_NAME, RESULT_NAME, StageName, StageResult, StageSpec


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m galileu_pipeline.training", description="Run one training stage.")
    parser.add_argument("stage", choices=get_args(StageName))
    parser.add_argument("--spec", type=Path, required=True, help="spec.json, as StageSpec describes it")
    arguments = parser.parse_args()
    spec = StageSpec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))
    if spec.stage != arguments.stage:
        parser.error(f"{arguments.spec} is the spec of stage {spec.stage}")
    report: Callable[[str], None] = _print
    with ExitStack() as stack:
        if PipesEnvVarParamsLoader().is_dagster_pipes_process():
            report = stack.enter_context(open_dagster_pipes()).log.info
        try:
            result = run(spec, report)
        except GalileuError as error:
            (arguments.spec.parent / ERROR_NAME).write_text(str(error), encoding="utf-8")
            print(f"error: {error}", file=sys.stderr)
            return error.exit_code
    (arguments.spec.parent / RESULT_NAME).write_text(result.model_dump_json(), encoding="utf-8")
    return 0


def run(spec: StageSpec, report: Callable[[str], None]) -> StageResult:
    """Run the stage of `spec`; see the module of that name."""
    _hush()
    # Imported here: a wrong command line is answered at once, without waiting for PyTorch.
    from galileu_pipeline.training import base, runner
    from galileu_pipeline.training.dpo import DpoRecipe
    from galileu_pipeline.training.reward import RewardRecipe
    from galileu_pipeline.training.sft import SftRecipe

    if spec.stage == "base":
        return base.run(spec, report)
    recipes: dict[str, type[runner.Recipe]] = {"sft": SftRecipe, "reward": RewardRecipe, "dpo": DpoRecipe}
    return runner.train(recipes[spec.stage], spec, report)


def _hush() -> None:
    """Keep the libraries' own bars and notes out of ours; warnings that matter still come through."""
    import logging

    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()  # e.g. the load report of a fresh reward head
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
