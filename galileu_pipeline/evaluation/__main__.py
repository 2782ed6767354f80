"""`python -m galileu_pipeline.evaluation --spec spec.json`: compare models, in a process of its own."""

import argparse
import os
import sys
from pathlib import Path

from galileu_pipeline.evaluation.results import Evaluation
from galileu_pipeline.evaluation.settings import EvaluationSpec
from galileu_pipeline.loading import loading
from galileu_pipeline.process import Report, hush, serve
from galileu_pipeline.training.devices import own_devices


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m galileu_pipeline.evaluation", description="Compare models.")
    parser.add_argument("--spec", type=Path, required=True, help="spec.json, as EvaluationSpec describes it")
    arguments = parser.parse_args()
    spec = EvaluationSpec.model_validate_json(arguments.spec.read_text(encoding="utf-8"))

    def work(report: Report) -> Evaluation:
        with own_devices(os.environ, spec.resources, report):
            with loading():
                hush()
                # Imported here: a wrong spec is answered at once, without waiting for PyTorch.
                from galileu_pipeline.evaluation.contest import run

            return run(spec, report)

    return serve(arguments.spec, work)


if __name__ == "__main__":
    sys.exit(main())
