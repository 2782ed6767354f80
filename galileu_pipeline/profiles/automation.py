"""What starts by itself, and when."""

from pydantic import Field

from galileu_pipeline.training.settings import Settings


class Threshold(Settings):
    """A count that starts a job: the first time at `first`, then at every further `retrain_every`."""

    first: int = Field(ge=1)
    retrain_every: int = Field(ge=1)

    def level(self, count: int) -> int | None:
        """The highest threshold that `count` has reached; None below the first."""
        if count < self.first:
            return None
        return self.first + (count - self.first) // self.retrain_every * self.retrain_every


class AutomationSettings(Settings):
    """Sensors and schedules."""

    interval_s: int = Field(30, ge=1, description="seconds between two looks of a sensor")
    dpo: Threshold = Field(Threshold(first=500, retrain_every=500), description="in preference pairs")
    ppo: Threshold = Field(Threshold(first=10_000, retrain_every=10_000), description="in interactions that were rated")
    retrain_cron: str = Field("0 3 * * 1", description="when the whole chain is made again; weekly")
    refresh_cron: str = Field("0 6 * * *", description="when feedback and its analytics are brought up to date; daily")
    timezone: str = Field("America/Sao_Paulo", description="of both")
