"""What starts by itself, when and where."""

from typing import Any, Literal

from pydantic import Field

from galileu_pipeline.training.settings import Settings

Executor = Literal["in_process", "kubernetes"]


class Threshold(Settings):
    """A count that starts a job: the first time at `first`, then at every further `retrain_every`."""

    first: int = Field(ge=1)
    retrain_every: int = Field(ge=1)

    def level(self, count: int) -> int | None:
        """The highest threshold that `count` has reached; None below the first."""
        if count < self.first:
            return None
        return self.first + (count - self.first) // self.retrain_every * self.retrain_every

    def next_level(self, count: int) -> int:
        """The lowest threshold that `count` has not reached."""
        level = self.level(count)
        return self.first if level is None else level + self.retrain_every


class AutomationSettings(Settings):
    """Sensors and schedules."""

    interval_s: int = Field(30, ge=1, description="seconds between two looks of a sensor")
    dpo: Threshold = Field(Threshold(first=500, retrain_every=500), description="in preference pairs")
    ppo: Threshold = Field(Threshold(first=10_000, retrain_every=10_000), description="in interactions that were rated")
    min_compared: int | None = Field(
        50,
        ge=1,
        description="from so many pairs of people on who chose between the same answers, new feedback is trained on "
        "only if they agree more often than by chance; null: always",
    )
    retrain_cron: str = Field("0 3 * * 1", description="when the whole chain is made again; weekly")
    refresh_cron: str = Field("0 6 * * *", description="when feedback and its analytics are brought up to date; daily")
    housekeeping_cron: str = Field("30 2 * * *", description="when old runs are forgotten; daily")
    keep_runs_days: int = Field(90, ge=1, description="how long Dagster remembers runs that made nothing still shown")
    timezone: str = Field("America/Sao_Paulo", description="of all three")
    executor: Executor = Field("in_process", description="in_process: a run's steps on one machine; or a pod for each")


class KubernetesSettings(Settings):
    """Where the pods of steps run. What each asks for is in `resources`.

    `volumes`, `volume_mounts`, `node_selector` and `tolerations` are written as Kubernetes writes them, in snake_case.
    """

    namespace: str | None = None
    image: str | None = Field(None, description="null: that of the run's own pod")
    env_vars: list[str] = Field([], description='of the steps: "NAME=value", or "NAME" as the run has it')
    volumes: list[dict[str, Any]] = Field([], description="the data folder has to be on one that all pods share")
    volume_mounts: list[dict[str, Any]] = Field([], description="where")
    gpu: str = Field("nvidia.com/gpu", description="what the cluster calls a GPU")
    node_selector: dict[str, str] = Field({}, description="of pods with a GPU")
    tolerations: list[dict[str, str]] = Field(
        [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}], description="of pods with a GPU"
    )
