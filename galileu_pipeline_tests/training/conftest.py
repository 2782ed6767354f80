"""A tiny base model and tiny datasets, made once."""

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.training import base
from galileu_pipeline.training.backbone import load_tokenizer
from galileu_pipeline.training.settings import Resources, StageSpec

# Models so small are computed in less time than it takes two threads to wait for each other.
ONE_THREAD = Resources(cpus=1)


def say_nothing(line: str) -> None:
    """A reporter for tests."""


def build_tiny(output: Path, seed: int = 0, hidden_size: int = 32) -> Path:
    output.mkdir(parents=True)
    settings: dict[str, object] = {
        "source": "tiny",
        "hidden_size": hidden_size,
        "layers": 1,
        "heads": 2,
        "vocabulary": 400,
    }
    spec = StageSpec(stage="base", output=output, checkpoints=output / "unused", seed=seed, settings=settings)
    base.run(spec, say_nothing)
    return output


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture(scope="session")
def tokenizer(tiny_base: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(tiny_base)
