"""How much one person may ask and vote a minute."""

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter


class RateLimits:
    """Counted over the last minute, in memory, for each person alone."""

    def __init__(self, answers_per_minute: int, votes_per_minute: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._items = {
            "answer": RateLimitItemPerMinute(answers_per_minute),
            "vote": RateLimitItemPerMinute(votes_per_minute),
        }

    def allow_answer(self, person: str) -> bool:
        """Whether the person may have one more answer now; counts it if so."""
        return self._limiter.hit(self._items["answer"], "answer", person)

    def allow_vote(self, person: str) -> bool:
        """Whether the person may vote once more now; counts it if so."""
        return self._limiter.hit(self._items["vote"], "vote", person)
