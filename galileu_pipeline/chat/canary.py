"""A candidate that answers some of the people in the champion's place, until it has failed them."""

import hashlib
from dataclasses import dataclass

from galileu_pipeline.chat.serving import rival_model
from galileu_pipeline.evaluation.sequences import one_sided_ends
from galileu_pipeline.evaluation.statistics import CONFIDENCE
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile

_MOST_THUMBS = 10_000  # the newest ones: enough for any interval, and read at once


@dataclass(frozen=True)
class Thumbs:
    """How people like a model's answers: how many thumbs there are, how many of them up, and bounds of the share.

    Each bound holds however often one looks, and also where people come to like it less (`one_sided_ends`), so that one
    may act on it after every click.
    """

    count: int
    up: int
    low: float
    high: float


@dataclass(frozen=True)
class CanaryStanding:
    """The candidate and the model in service, as people's thumbs have them."""

    candidate: Artifact
    thumbs: Thumbs
    champion_thumbs: Thumbs
    share: float  # of the people whom the candidate answers, 0 to 1
    bound: float

    @property
    def has_failed(self) -> bool:
        """Whether people certainly like it in fewer cases than the bound, or than the model in service."""
        return self.thumbs.high < max(self.bound, self.champion_thumbs.low)


class Canary:
    """Who is answered by the candidate. Each person stays with one model, as long as both are the same."""

    def __init__(
        self,
        store: ArtifactStore,
        collector: FeedbackCollector,
        share: float,
        bound: float = 0.5,
        candidate: str | None = None,
    ) -> None:
        """
        Args:
            share: of the people whom the candidate answers, 0 to 1.
            bound: the candidate is withdrawn once its share of thumbs up is certainly below it.
            candidate: a model's name; the newest candidate where it is None.
        """
        self._store = store
        self._collector = collector
        self._share = share
        self._bound = bound
        self._candidate = candidate
        self._seen: dict[str, tuple[int, Thumbs]] = {}  # with the last event that counts

    def standing(self, served: Artifact) -> CanaryStanding | None:
        """How the candidate does beside the model in service.

        None where there is nobody to try: no share, no other model, or one that a person took out of service.

        Raises:
            GalileuError: as `rival_model`, or the thumbs cannot be read.
        """
        if not self._share:
            return None
        candidate = rival_model(self._store, served, self._candidate)
        if candidate.id == served.id or candidate.id in ChampionFile(self._store).read().rolled_back:
            return None
        return CanaryStanding(candidate, self._thumbs(candidate), self._thumbs(served), self._share, self._bound)

    def model_for(self, user_id: str, served: Artifact) -> tuple[Artifact, bool]:
        """The model that answers a person, and whether that is a secret: until they vote, as long as two are compared.

        Raises:
            GalileuError: as `standing`.
        """
        standing = self.standing(served)
        if standing is None or standing.has_failed:
            return served, False
        return (standing.candidate if is_chosen(user_id, standing.candidate.id, self._share) else served), True

    def _thumbs(self, model: Artifact) -> Thumbs:
        last = self._collector.last_vote()
        known = self._seen.get(model.id)
        if known is None or known[0] != last:
            thumbs = self._collector.thumbs(model.id, _MOST_THUMBS)
            known = last, Thumbs(len(thumbs), sum(thumbs), *one_sided_ends(thumbs, CONFIDENCE))
            self._seen[model.id] = known
        return known[1]


def is_chosen(user_id: str, candidate_id: str, share: float) -> bool:
    """Whether the person is among those whom the candidate answers. Another candidate gets other people."""
    digest = hashlib.sha256(f"{candidate_id}\x1f{user_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
