"""All models that people ever compared, by strength: Bradley-Terry with ties, apart from which side and length please.

Of two answers, with a = strength(left) - strength(right) + left advantage + length advantage * doublings,

    P(left) : P(right) : P(neither) = exp(a / 2) : exp(-a / 2) : exp(tie)

which is Davidson's model of ties (Journal of the American Statistical Association 65, 1970) with the order effect of
Davidson and Beaver (Biometrics 33, 1977) and a covariate for length (Dubois et al., arXiv 2404.04475). LMArena's own
package, arena-rank, asks for exact versions of JAX and NumPy beside which PyTorch's would not stand.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, ndtri

from galileu_pipeline.evaluation.estimates import Estimate
from galileu_pipeline.evaluation.statistics import CONFIDENCE
from galileu_pipeline.feedback.statements import sql

MAX_PERSON_SHARE = 0.1
"""Of all votes; who gave more counts for no more than that."""
_RESAMPLES = 200
_PRIOR = 0.02  # weight of the belief that all are alike, so that one who always won is not infinitely strong
_ELO = 400 / np.log(10)
_LEAST_VOTES = 10  # of a person, before anything is said of how they vote
_FALSE_ALARM = 0.001  # chance that any person who votes like the others is called an outlier

Floats = NDArray[np.float64]


class Vote(NamedTuple):
    """What one person said of two models' answers."""

    left: str
    right: str
    verdict: str  # 'left', 'right', 'tie' or 'both_bad'
    person: str
    length_left: int  # characters of the answer
    length_right: int


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Standing(_Record):
    """A model's place."""

    model: str
    rating: Estimate = Field(description="Elo's scale: 400 points more are odds of ten to one; 1000 on average")
    votes: int
    wins: int
    losses: int
    ties: int
    both_bad: int


class Outlier(_Record):
    """A person whose votes do not count here, since they cannot be explained by how good the answers are."""

    person: str = Field(description="the keyed hash")
    votes: int
    why: str = Field(description="'against everybody else' or 'always the same side'")


class Leaderboard(_Record):
    """The strongest first. Intervals are those of a bootstrap over people."""

    standings: list[Standing]
    votes: int
    people: int
    left_wins: Estimate = Field(description="how often the left one of two equal answers wins, of votes that decide")
    longer_wins: Estimate = Field(description="how often the longer one wins that is twice as long and else equal")
    outliers: list[Outlier]
    capped: list[str] = Field(description="people who gave so many votes that each counts for less")


def leaderboard(connection: duckdb.DuckDBPyConnection) -> Leaderboard | None:
    """From all side-by-side votes in a warehouse; None where there are none between two known models."""
    rows = connection.execute(sql("analytics/select_side_by_side")).fetchall()
    return rank([Vote(*row) for row in rows]) if rows else None


def rank(given: Sequence[Vote]) -> Leaderboard:
    """From one vote or more, in any order."""
    votes = _Votes.of(given)
    outliers: dict[int, str] = {}
    while found := votes.outliers(votes.fit(votes.of_the_others(outliers)), outliers):
        outliers |= found
    weights = votes.weights(leave_out=outliers)
    best = votes.fit(weights)
    random = np.random.default_rng(0)
    resamples = np.array([votes.fit(weights * votes.resampled(random), best) for _ in range(_RESAMPLES)])

    def estimate(values: Floats, value: float) -> Estimate:
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(values, [tail, 1 - tail])
        return Estimate(
            value=round(value, 6), low=round(min(low, value), 6), high=round(max(high, value), 6), n=len(given)
        )

    elo = [1000 + _ELO * points for points in (resamples[:, : len(votes.models)], best[: len(votes.models)])]
    counts = Counter(
        (model, "won" if vote.verdict == side else "lost" if vote.verdict in ("left", "right") else vote.verdict)
        for vote in given
        for side, model in (("left", vote.left), ("right", vote.right))
    )
    standings = [
        Standing(
            model=name,
            rating=estimate(elo[0][:, place], float(elo[1][place])),
            votes=sum(counts[name, what] for what in ("won", "lost", "tie", "both_bad")),
            wins=counts[name, "won"],
            losses=counts[name, "lost"],
            ties=counts[name, "tie"],
            both_bad=counts[name, "both_bad"],
        )
        for place, name in enumerate(votes.models)
    ]
    return Leaderboard(
        standings=sorted(standings, key=lambda standing: (-standing.rating.value, standing.model)),
        votes=len(given),
        people=len(votes.names),
        left_wins=estimate(expit(resamples[:, -3]), float(expit(best[-3]))),
        longer_wins=estimate(expit(resamples[:, -2]), float(expit(best[-2]))),
        outliers=[
            Outlier(person=votes.names[person], votes=int(votes.given[person]), why=why)
            for person, why in sorted(outliers.items(), key=lambda item: votes.names[item[0]])
        ],
        capped=[name for name, given in zip(votes.names, votes.given, strict=True) if given > votes.most],
    )


@dataclass(frozen=True)
class _Votes:
    """N votes as numbers, and the C different ones that there are of them, which are all that a fit looks at.

    Parameters are strengths (M,), and those of the left side, of length, and of ties.
    """

    models: list[str]
    names: list[str]
    person: NDArray[np.int64]  # of each vote
    cell: NDArray[np.int64]  # which of the different votes it is
    left: NDArray[np.int64]  # of each of those
    right: NDArray[np.int64]
    points: Floats  # 1 for left, 0 for right, a half for neither
    doublings: Floats  # how often the left answer is twice as long as the right one, to a quarter

    @classmethod
    def of(cls, given: Sequence[Vote]) -> "_Votes":
        models, places = np.unique([(vote.left, vote.right) for vote in given], return_inverse=True)
        names, person = np.unique([vote.person for vote in given], return_inverse=True)
        lengths = np.array([(vote.length_left, vote.length_right) for vote in given])
        longer = np.diff(np.log2(np.maximum(lengths[:, ::-1], 1)), axis=1)[:, 0]
        points = [{"left": 1.0, "right": 0.0}.get(vote.verdict, 0.5) for vote in given]
        votes = np.column_stack([places.reshape(-1, 2), points, np.round(4 * longer) / 4])
        different, cell = np.unique(votes, axis=0, return_inverse=True)
        return cls(
            models=models.tolist(),
            names=names.tolist(),
            person=person,
            cell=cell.reshape(-1),
            left=different[:, 0].astype(np.int64),
            right=different[:, 1].astype(np.int64),
            points=different[:, 2],
            doublings=different[:, 3],
        )

    @property
    def given(self) -> NDArray[np.int64]:
        """Votes of each person."""
        return np.bincount(self.person, minlength=len(self.names))

    @property
    def most(self) -> float:
        """Votes for which a person may count."""
        return max(1.0, MAX_PERSON_SHARE * len(self.person))

    def weights(self, leave_out: Collection[int]) -> Floats:
        of_person = np.minimum(1.0, self.most / self.given)
        of_person[list(leave_out)] = 0.0
        return np.asarray(of_person[self.person])

    def of_the_others(self, outliers: Collection[int]) -> Floats:
        """Weights to judge people by: where there are others, who gave very many votes is not judged by their own."""
        weights = self.weights({*outliers, *np.flatnonzero(self.given > self.most).tolist()})
        return weights if weights.any() else self.weights(outliers)

    def resampled(self, random: np.random.Generator) -> Floats:
        """How often each vote is drawn, if people are drawn with all of their votes."""
        drawn = np.bincount(random.integers(0, len(self.names), len(self.names)), minlength=len(self.names))
        return np.asarray(drawn[self.person], dtype=float)

    def fit(self, weights: Floats, start: Floats | None = None) -> Floats:
        """The likeliest parameters, (M + 3,), with a weak prior; strengths are 0 on average."""
        from scipy import optimize  # a third of a second to import

        first = np.zeros(len(self.models) + 3) if start is None else start
        of_cells = np.bincount(self.cell, weights, len(self.points))
        found = optimize.minimize(self._loss, first, args=(of_cells,), jac=True, method="L-BFGS-B").x
        found[: len(self.models)] -= found[: len(self.models)].mean()
        return np.asarray(found)

    def _advantage(self, parameters: Floats) -> Floats:
        strengths = parameters[: len(self.models)]
        return np.asarray(
            strengths[self.left] - strengths[self.right] + parameters[-3] + parameters[-2] * self.doublings
        )

    def _shares(self, parameters: Floats) -> tuple[Floats, Floats, Floats]:
        """P(left), P(right) and P(neither) of the different votes, (C,) each."""
        half = self._advantage(parameters) / 2
        logits = np.stack([half, -half, np.full_like(half, parameters[-1])])
        shares = np.exp(logits - np.logaddexp.reduce(logits, axis=0))
        return shares[0], shares[1], shares[2]

    def _loss(self, parameters: Floats, weights: Floats) -> tuple[float, Floats]:
        """Minus the log-posterior, and its gradient; `weights` are those of the different votes, (C,)."""
        to_left, to_right, neither = self._shares(parameters)
        tied = self.points == 0.5
        said = np.where(tied, neither, np.where(self.points == 1, to_left, to_right))
        of_advantage = weights * ((to_left - to_right) / 2 - np.where(tied, 0.0, self.points - 0.5))
        gradient = _PRIOR * parameters
        gradient[: len(self.models)] += np.bincount(self.left, of_advantage, len(self.models))
        gradient[: len(self.models)] -= np.bincount(self.right, of_advantage, len(self.models))
        gradient[-3] += of_advantage.sum()
        gradient[-2] += (of_advantage * self.doublings).sum()
        gradient[-1] += (weights * (neither - tied)).sum()
        loss = _PRIOR / 2 * float(parameters @ parameters) - float(weights @ np.log(np.maximum(said, 1e-300)))
        return loss, gradient

    def outliers(self, parameters: Floats, known: dict[int, str]) -> dict[int, str]:
        """People who vote as nobody would to whom the answers matter, by what the others' votes say of those."""
        to_left, _, neither = self._shares(parameters)
        expected = to_left + neither / 2
        variance = to_left + neither / 4 - expected**2
        surprise = self.points - expected
        found: dict[int, str] = {}
        limit = float(-ndtri(_FALSE_ALARM / 2 / len(self.names)))
        for why, lean, sided in (
            ("against everybody else", expected - 0.5, False),
            ("always the same side", np.ones_like(expected), True),
        ):
            total = np.bincount(self.person, (surprise * lean)[self.cell], len(self.names))
            spread = np.sqrt(np.bincount(self.person, (variance * lean**2)[self.cell], len(self.names)))
            score = np.divide(total, spread, out=np.zeros_like(total), where=spread > 0)
            odd = (np.abs(score) if sided else -score) > limit
            for person in np.flatnonzero(odd & (self.given >= _LEAST_VOTES)):
                if int(person) not in known:
                    found.setdefault(int(person), why)
        return found
