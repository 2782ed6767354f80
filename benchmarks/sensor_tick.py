"""What a look of the sensors costs with few and with many pairs.

    python benchmarks/sensor_tick.py [--sizes 1000 1000000] [--looks 200]

For every size a data folder is made as the pipeline makes it: so many side-by-side votes in the chatbot's SQLite file,
read into DuckDB and paired. Then the sensors are evaluated by turns, size by size, as Dagster's daemon does, and the
medians are compared.
"""

import argparse
import os
import sqlite3
import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from galileu_pipeline.automation.sensors import make_sensors
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.feedback.stages import make_preference_pairs, refresh_raw_feedback
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.profiles.automation import AutomationSettings
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import StorageResource

GROWTH = 250_000  # votes between two refreshes
SENSORS = ("feedback_sensor", "dpo_sensor", "ppo_sensor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 1_000_000], help="pairs")
    parser.add_argument("--looks", type=int, default=200, help="evaluations of each sensor and size")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        folders = {size: Path(folder) / str(size) for size in arguments.sizes}
        for size, path in folders.items():
            start = time.perf_counter()
            print(f"{fill(path, size):,} pairs made in {time.perf_counter() - start:.1f} s", flush=True)
        compare(folders, arguments.looks)


def fill(folder: Path, size: int) -> int:
    """Votes, warehouse and pairs of that many questions, as they grow. Returns the number of pairs."""
    data = DataFolder(folder)
    FeedbackCollector(data.feedback_db)  # makes the tables
    store, warehouse = ArtifactStore(data, "cpu"), Warehouse(data.warehouse)
    for start in range(0, size, GROWTH):
        vote(data.feedback_db, range(start, min(size, start + GROWTH)))
        feedback, _ = refresh_raw_feedback(store, warehouse, data, repair_text=True)
        pairs = make_preference_pairs(store, warehouse, feedback.artifact, PairingSettings())
        store.set_current(feedback.artifact)
        store.set_current(pairs.artifact)
    return int(store.current("preference_pairs").manifest.metrics["pairs"])


def vote(database: Path, numbers: range) -> None:
    """A side-by-side vote on each of these questions."""
    rows = ((f"Pergunta {number}?", f"Boa resposta {number}.", f"Resposta ruim {number}.") for number in numbers)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO preference_pairs (timestamp, query, response_chosen, response_rejected)"
            " VALUES ('2026-11-01T12:00:00Z', ?, ?, ?)",
            rows,
        )


def compare(folders: dict[int, Path], looks: int) -> None:
    sensors = {made.name: made for made in make_sensors(AutomationSettings())}
    storage = StorageResource(profile=ProfileResource(name="cpu"))
    with dg.DagsterInstance.ephemeral() as instance:
        for name in SENSORS:
            seconds: dict[int, list[float]] = {size: [] for size in folders}
            for _ in range(looks):
                for size, folder in folders.items():
                    os.environ["GALILEU_DATA_DIR"] = str(folder)
                    with dg.build_sensor_context(instance=instance, resources={"storage": storage}) as context:
                        start = time.perf_counter()
                        sensors[name](context)
                        seconds[size].append(time.perf_counter() - start)
            report(name, seconds)


def report(name: str, seconds: dict[int, list[float]]) -> None:
    medians = {size: statistics.median(times) for size, times in seconds.items()}
    least = medians[min(medians)]
    cells = [f"{size:,} pairs {1000 * median:.2f} ms ({median / least:.2f})" for size, median in medians.items()]
    print(f"{name:<16}" + "  ".join(cells))


if __name__ == "__main__":
    main()
