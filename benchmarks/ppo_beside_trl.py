"""This project's PPOTrainer beside the last one TRL had (1.12.0, `trl.experimental.ppo`).

    python -m venv trl && trl/bin/pip install torch==2.13.0 transformers==5.23.0 peft==0.21.2 trl==1.12.0
    python benchmarks/ppo_beside_trl.py --trl-python trl/bin/python [--plot curves.png]
    python benchmarks/ppo_beside_trl.py --trl-python trl/bin/python --base DIR --rollouts 4 --seeds 0

The same model, adapter, reward, prompts, batch sizes and coefficients; each side in a process of its own, by turns,
for every seed. `ours` trains the value model TRL needs, a network of its own; `shared` is this project's default, a
head on a second adapter. Without --base the model is a random one, which learns its reward within
the run; with one (the folder of a `base_model` artifact) what counts is time and memory.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from matplotlib.figure import Figure

from galileu_pipeline.training.backbone import load_tokenizer
from galileu_pipeline.training.base import run as build_base
from galileu_pipeline.training.settings import StageSpec

SIDES = ("trl", "ours", "shared")
PARTS = 6
SIDE_SCRIPT = Path(__file__).with_name("ppo_side.py")
TINY = {
    "rollouts": 60,
    "answers": 32,
    "micro_batch": 32,
    "rollout_batch": 32,
    "new_tokens": 12,
    "learning_rate": 2e-3,
    "kl_coef": 0.001,
}
LARGE = {
    "rollouts": 4,
    "answers": 32,
    "micro_batch": 8,
    "rollout_batch": 32,
    "new_tokens": 48,
    "learning_rate": 1e-5,
    "kl_coef": 0.05,
}
COMMON = {
    "num_ppo_epochs": 4,
    "clip_range": 0.2,
    "value_coef": 0.1,
    "gamma": 1.0,
    "lam": 0.95,
}

Results = Mapping[str, Sequence[Mapping[str, Any]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trl-python", required=True, help="the Python of an environment with trl 1.12.0")
    parser.add_argument("--base", type=Path, help="a causal language model's folder")
    parser.add_argument("--rollouts", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="a PNG of the curves")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        base = arguments.base or tiny_base(Path(folder) / "base")
        job = {**COMMON, **(LARGE if arguments.base else TINY), "base": str(base), "threads": arguments.threads}
        job |= {"questions": questions_of_one_length(base)}
        job |= {"rollouts": arguments.rollouts} if arguments.rollouts else {}
        results: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for seed in arguments.seeds:
            for side in SIDES:
                python = arguments.trl_python if side == "trl" else sys.executable
                done = run(python, side, {**job, "seed": seed})
                results[side].append(done)
                print(f"seed {seed} {side:<6} {done['seconds']:6.1f} s, {done['peak_mib']:5.0f} MiB more at the peak")
    report(results, job)
    if arguments.plot:
        plot(results, arguments.plot)


def tiny_base(folder: Path) -> Path:
    """Wide enough that one token can be made nearly certain."""
    folder.mkdir()
    settings: dict[str, Any] = {"source": "tiny", "hidden_size": 128, "layers": 2, "heads": 2, "vocabulary": 400}
    build_base(StageSpec(stage="base", output=folder, checkpoints=folder / "none", seed=0, settings=settings), print)
    return folder


def questions_of_one_length(base: Path, count: int = 32) -> list[str]:
    """TRL's reward model cannot see where an answer starts, so that all prompts have the same number of tokens."""
    tokenizer = load_tokenizer(base)
    questions = [f"Pergunta {number}?" for number in range(100, 1000)]
    lengths = [len(tokenizer(question)["input_ids"]) for question in questions]
    ((usual, _),) = Counter(lengths).most_common(1)
    return [question for question, length in zip(questions, lengths, strict=True) if length == usual][:count]


def run(python: str, side: str, job: Mapping[str, Any]) -> dict[str, Any]:
    done = subprocess.run([python, SIDE_SCRIPT, side, json.dumps(job)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{side} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(results: Results, job: Mapping[str, Any]) -> None:
    size = max(1, job["rollouts"] // PARTS)
    print(f"\nMean reward of every {size} rollouts: mean over the seeds (lowest to highest)")
    for side, runs in results.items():
        parts = [[mean_reward(run, start, size) for run in runs] for start in range(0, job["rollouts"], size)]
        print(f"  {side:<6} " + "  ".join(f"{statistics.mean(p):.2f} ({min(p):.2f}-{max(p):.2f})" for p in parts))
    print("KL to the reference at the end, nats an answer")
    for side, runs in results.items():
        print(f"  {side:<6} " + "  ".join(f"{run['curve'][-1][1]:.1f}" for run in runs))
    print("Milliseconds an episode and MiB at the peak, medians; ratio to TRL's")
    episodes = job["rollouts"] * job["answers"]
    for side, runs in results.items():
        seconds, peak = (statistics.median(run[name] for run in runs) for name in ("seconds", "peak_mib"))
        trl_seconds, trl_peak = (
            statistics.median(run[name] for run in results["trl"]) for name in ("seconds", "peak_mib")
        )
        print(
            f"  {side:<6} {seconds / episodes * 1000:7.1f} ms ({seconds / trl_seconds:.2f})"
            f"  {peak:6.0f} MiB ({peak / trl_peak:.2f})"
        )


def mean_reward(result: Mapping[str, Any], start: int, size: int) -> float:
    return statistics.mean(reward for reward, _ in result["curve"][start : start + size])


def plot(results: Results, path: Path) -> None:
    figure = Figure(figsize=(6, 3.6), dpi=90, layout="constrained")
    axes = figure.subplots()
    for (side, runs), colour in zip(results.items(), ("#D55E00", "#0072B2", "#009E73"), strict=True):
        for number, result in enumerate(runs):
            rewards = [reward for reward, _ in result["curve"]]
            axes.plot(rewards, color=colour, linewidth=1, label=None if number else side)
    axes.set_xlabel("rollout")
    axes.set_ylabel("mean reward")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
