"""Figures with their uncertainty, as they are kept and read. `statistics` makes them, and needs SciPy for it."""

from pydantic import BaseModel, ConfigDict


class Estimate(BaseModel):
    """A figure of `n` observations with its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}], n={self.n}"


class Proportion(Estimate):
    """A share of `n` trials with its exact interval (Clopper & Pearson 1934), for fewer where some are alike."""

    @property
    def beats_chance(self) -> bool:
        """The whole interval lies above one half."""
        return self.low > 0.5


class PreferenceAccuracy(Proportion):
    """A share of the `n` pairs whose sides score differently; `ties` more score the same."""

    ties: int = 0

    def __str__(self) -> str:
        return super().__str__() + (f", {self.ties} ties" if self.ties else "")


class Mean(Estimate):
    """The mean of `n` numbers with its interval by Student's t."""

    @property
    def above_zero(self) -> bool:
        """The whole interval does. One number alone has none."""
        return self.n > 1 and self.low > 0


class WinRate(Estimate):
    """How often one of two is the better one, a tie counting half; `n` comparisons.

    The interval is that of Clopper and Pearson (1934), written with the beta distribution, so that it takes half a win.
    A tie has less variance than a toss of a coin, so with ties it is wider than it need be, never too narrow.
    """

    wins: int
    ties: int

    @property
    def losses(self) -> int:
        return self.n - self.wins - self.ties
