"""`answers.jsonl`: some answers of every rollout, for people to read."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from galileu_pipeline.files import replace_file, sync
from galileu_pipeline.training.ppo.experience import SampledAnswer

ANSWERS_NAME = "answers.jsonl"


class AnswerLog:
    """The file in a trainer's output folder. One process writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ANSWERS_NAME

    def add(self, answers: Sequence[SampledAnswer], step: int) -> None:
        """Those of the rollout before optimizer step `step`; the first rollout starts a new file."""
        lines = [{"step": step, **asdict(answer)} for answer in answers]
        with self._path.open("a" if step else "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))

    def keep(self) -> None:
        """Put it on disk: whoever goes on from a checkpoint adds to it."""
        if self._path.is_file():
            sync(self._path)

    def forget_after(self, step: int) -> None:
        """Drop the answers of steps that will be taken again."""
        if self._path.is_file():
            with self._path.open(encoding="utf-8") as lines:  # str.splitlines breaks at separators inside too
                whole = [line for line in lines if line.endswith("\n")]
            kept = [line for line in whole if json.loads(line)["step"] < step]
            replace_file(self._path, "".join(kept))
