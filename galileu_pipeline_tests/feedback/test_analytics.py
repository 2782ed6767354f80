"""The analytics against figures worked out by hand, or by another route."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from statistics import NormalDist
from typing import Any

import duckdb
import numpy as np
import pytest
from PIL import Image

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.analytics.analysis import (
    FeedbackAnalytics,
    analyse,
    interval_alpha,
    krippendorff_alpha,
)
from galileu_pipeline.feedback.analytics.markdown_report import markdown
from galileu_pipeline.feedback.analytics.plots import plots
from galileu_pipeline.feedback.ingestion.cleaning import text_digest
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.markdown import MAX_TEXT_CHARS, escape
from galileu_pipeline_tests.feedback.conftest import empty_warehouse

MAX_PNG_BYTES = 60_000
NO_DIGEST = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with empty_warehouse(tmp_path / "x.duckdb").open() as opened:
        yield opened


class Votes:
    """Inserts rows of `feedback` with only what a test cares about."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.position = 0

    def add(self, *, user: str | None = None, query: str = "q", response: str = "r", **columns: Any) -> None:
        rating, thumbs_up = columns.get("rating"), columns.get("thumbs_up")
        score = (rating - 1) / 4 if rating is not None else None if thumbs_up is None else float(thumbs_up)
        self.position += 1
        row = {
            "feedback_id": f"f{self.position:04}",
            "source": "test",
            "position": self.position,
            "ingestion": 1,
            "row_digest": NO_DIGEST,
            "response_digest": text_digest(response),
            "user_id": user,
            "query": query,
            "query_key": text_digest(query.casefold()),
            "response": response,
            "score": score,
            **columns,
        }
        names, marks = ", ".join(row), ", ".join("?" for _ in row)
        self.connection.execute(f"INSERT INTO feedback ({names}) VALUES ({marks})", list(row.values()))


@pytest.fixture
def votes(connection: duckdb.DuckDBPyConnection) -> Votes:
    return Votes(connection)


def add_choice(connection: duckdb.DuckDBPyConnection, query: str, user: str, at: datetime | None = None) -> None:
    connection.execute(
        "INSERT INTO feedback_choices (feedback_id, source, position, ingestion, row_digest, occurred_at, user_id, "
        "query, query_key, chosen, rejected, chosen_digest, rejected_digest) "
        "VALUES (?, 'test', 1, 1, ?, ?, ?, ?, ?, 'better', 'worse', ?, ?)",
        [f"c-{query}-{user}", NO_DIGEST, at, user, query, *map(text_digest, (query.casefold(), "better", "worse"))],
    )


def test_empty_database(connection: duckdb.DuckDBPyConnection) -> None:
    analytics = analyse(connection)

    assert set(analytics.totals.model_dump(exclude={"first_at", "last_at"}).values()) == {0}
    assert analytics.totals.first_at is None
    assert analytics.thumbs.share_up is None
    assert analytics.agreement.alpha is None
    assert [(bar.rating, bar.ratings) for bar in analytics.rating_distribution] == [(n, 0) for n in range(1, 6)]
    for listed in ("by_day", "common_questions", "worst_questions", "raters", "complaint_words"):
        assert getattr(analytics, listed) == ()
    assert "Nothing yet" in markdown(analytics)
    assert all(picture.startswith(b"\x89PNG") for picture in plots(analytics).values())


def test_questions_as_common_are_in_the_order_of_their_words(
    connection: duckdb.DuckDBPyConnection, votes: Votes
) -> None:
    for query in ("b", "a", "c"):
        votes.add(query=query, rating=4)
    assert [listed.question for listed in analyse(connection).common_questions] == ["a", "b", "c"]


def test_views_run_without_settings_and_twice(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "shell.duckdb")) as shell:
        shell.execute(sql("create_schema"))
        for _ in range(2):
            shell.execute(sql("analytics/create_analytics_views"))
        assert shell.execute("FROM analytics_worst_questions").fetchall() == []
        assert shell.execute(sql("analytics/select_extreme_raters")).fetchall() == []


def test_totals(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    votes.add(user="ana", rating=4, occurred_at=datetime(2026, 3, 1, 10), comment="boa")
    votes.add(session_id="s1", thumbs_up=False, occurred_at=datetime(2026, 3, 2, 10))
    votes.add(comment="só um comentário")
    add_choice(connection, "another", "ana", datetime(2026, 3, 5))
    connection.execute(
        "INSERT INTO feedback_quarantine "
        "SELECT 'd' || n, 'test', n, if(n < 2, 'no_signal', 'invalid_rating'), '', '{}', now()::TIMESTAMP "
        "FROM range(5) AS numbers(n)"
    )

    analytics = analyse(connection)

    totals = analytics.totals
    assert (totals.votes, totals.ratings, totals.thumbs, totals.comments, totals.choices) == (3, 1, 1, 2, 1)
    assert (totals.raters, totals.questions, totals.answers) == (2, 2, 3)  # r; better and worse
    assert (totals.quarantined, totals.undated) == (5, 1)
    assert totals.first_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert totals.last_at == datetime(2026, 3, 5, tzinfo=UTC)
    assert list(analytics.quarantined_by_reason.items()) == [("invalid_rating", 3), ("no_signal", 2)]


def test_volume_thumbs_and_distribution(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    votes.add(rating=5, occurred_at=datetime(2026, 3, 1, 0, 0))
    votes.add(rating=2, occurred_at=datetime(2026, 3, 1, 23, 59))
    votes.add(thumbs_up=True, occurred_at=datetime(2026, 3, 3))
    votes.add(thumbs_up=True)
    votes.add(thumbs_up=False)
    votes.add(rating=3.5)  # counts as 4
    votes.add(rating=1.4)
    add_choice(connection, "q", "ana", datetime(2026, 3, 3))

    analytics = analyse(connection)

    assert [(d.day, d.votes, d.choices, d.ratings, d.mean_rating) for d in analytics.by_day] == [
        (date(2026, 3, 1), 2, 0, 2, 3.5),
        (date(2026, 3, 3), 1, 1, 0, None),
    ]
    assert (analytics.thumbs.up, analytics.thumbs.down) == (2, 1)
    assert analytics.thumbs.share_up == pytest.approx(2 / 3)
    assert [bar.ratings for bar in analytics.rating_distribution] == [1, 1, 0, 1, 1]


def test_common_questions_in_their_most_frequent_wording(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    for wording in ("HORÁRIO", "Horário", "Horário"):
        votes.add(query=wording, rating=5)
    votes.add(query="preço", comment="sem nota")
    add_choice(connection, "Preço", "ana")
    votes.add(query="zebra", rating=1)

    rows = analyse(connection, top=2).common_questions

    # "Preço" and "preço" are as frequent: the first in code point order is shown.
    assert [(row.question, row.uses, row.mean_score) for row in rows] == [("Horário", 3, 1.0), ("Preço", 2, None)]


def test_wilson_bound(connection: duckdb.DuckDBPyConnection) -> None:
    """By its definition: the share below the observed one that lies z standard errors of its own from it."""
    connection.execute(sql("analytics/create_analytics_views"))
    z = NormalDist().inv_cdf(0.975)
    for bad, trials in [(1, 1), (1, 3), (3, 3), (7, 10), (40, 100), (999, 1000)]:
        bound = connection.execute("SELECT analytics_wilson_lower(?, ?)", [bad, trials]).fetchall()[0][0]
        assert bound < bad / trials
        assert bad / trials - bound == pytest.approx(z * math.sqrt(bound * (1 - bound) / trials), abs=1e-12)
    assert connection.execute("SELECT analytics_wilson_lower(0, 7)").fetchall()[0][0] == pytest.approx(0, abs=1e-12)


def test_worst_questions(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    def ask(query: str, ratings: Sequence[float]) -> None:
        for number, rating in enumerate(ratings):
            votes.add(user=f"u{number}", query=query, rating=rating)

    ask("three of three", [1, 2, 1])  # Wilson: 0.438
    ask("nine of ten", [1] * 9 + [5])  # Wilson: 0.596
    ask("too few", [1, 1])
    ask("neutral is not bad", [3, 3, 3])
    ask("one of three, neutral", [1, 3, 3])

    rows = analyse(connection, min_votes=3).worst_questions

    assert [(r.question, r.votes, r.bad_votes) for r in rows] == [
        ("nine of ten", 10, 9),
        ("three of three", 3, 3),
        ("one of three, neutral", 3, 1),
    ]
    assert [r.bad_share_lower for r in rows[:2]] == pytest.approx([0.595850, 0.438503], abs=1e-6)
    assert rows[0].mean_score == pytest.approx(0.1)
    assert "too few" in [r.question for r in analyse(connection, min_votes=2).worst_questions]
    assert len(analyse(connection, min_votes=1, top=1).worst_questions) == 1


def test_a_later_vote_of_a_rater_replaces_the_earlier(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    for _ in range(5):
        votes.add(user="ana", rating=1, occurred_at=datetime(2026, 3, 1))
    votes.add(user="ana", rating=4, occurred_at=datetime(2026, 3, 2))
    votes.add(user="bia", rating=1)
    votes.add(rating=1)
    votes.add(rating=1)  # of nobody known: each counts

    analytics = analyse(connection)

    assert (analytics.worst_questions[0].votes, analytics.worst_questions[0].bad_votes) == (4, 3)
    assert (analytics.agreement.answers, analytics.agreement.ratings) == (1, 4)


def test_strictness_of_raters(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    # Scores, by answer:    r1     r2    r3    r4
    #            strict     0      0.5   0
    #            lenient    1      1
    #            (nobody)   0.5
    #            alone                         1
    for user, response, rating in (
        ("strict", "r1", 1),
        ("strict", "r2", 3),
        ("strict", "r3", 1),
        ("lenient", "r1", 5),
        ("lenient", "r2", 5),
        (None, "r1", 3),
        ("alone", "r4", 5),
    ):
        votes.add(user=user, response=response, rating=rating)

    rows = {row.rater: row for row in analyse(connection, min_votes=1).raters}

    assert list(rows) == ["strict", "lenient", "alone"]
    strict, lenient, alone = rows.values()
    # r1: 0 - (1 + 0.5) / 2 = -0.75; r2: 0.5 - 1 = -0.5; r3 has no others
    assert strict.mean_deviation == pytest.approx(-0.625)
    assert (strict.votes, strict.compared_votes) == (3, 2)
    assert strict.mean_score == pytest.approx(0.5 / 3)
    assert strict.bad_share == pytest.approx(2 / 3)
    # r1: 1 - (0 + 0.5) / 2 = 0.75; r2: 1 - 0.5 = 0.5
    assert lenient.mean_deviation == pytest.approx(0.625)
    assert (alone.compared_votes, alone.mean_deviation) == (0, None)


def test_only_the_extreme_raters_are_listed(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    for number in range(5):
        for response in ("r1", "r2"):
            votes.add(user=f"u{number}", response=response, rating=number + 1)

    assert [row.rater for row in analyse(connection, min_votes=2, top=1).raters] == ["u0", "u4"]
    assert [row.rater for row in analyse(connection, min_votes=2, top=4).raters] == ["u0", "u1", "u2", "u3", "u4"]
    assert analyse(connection, min_votes=3, top=1).raters == ()


# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), part C: four observers, twelve units, missing data.
KRIPPENDORFF_2011 = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]


def test_alpha_of_the_published_example(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    for observer, ratings in enumerate(KRIPPENDORFF_2011):
        for unit, rating in enumerate(ratings):
            if rating is not None:
                votes.add(user=f"observer {observer}", response=f"unit {unit}", rating=rating)

    agreement = analyse(connection).agreement

    assert agreement.alpha == pytest.approx(0.849, abs=5e-4)
    assert (agreement.answers, agreement.ratings) == (11, 40)  # unit 12 has one rating


def test_alpha_of_fractional_ratings(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    for response, ratings in {"r1": (1.5, 2.0), "r2": (4.0, 4.5)}.items():
        for number, rating in enumerate(ratings):
            votes.add(user=f"u{number}", response=response, rating=rating)

    # Sample variances: 0.125 within each answer; about the mean of 3: (2.25 + 1 + 1 + 2.25) / 3 over all.
    assert analyse(connection).agreement.alpha == pytest.approx(1 - 0.125 / (6.5 / 3))


@pytest.mark.parametrize("ratings", [[], [("r1", 1)], [("r1", 1), ("r2", 5)], [("r1", 4), ("r1", 4), ("r2", 4)]])
def test_alpha_that_is_not_defined(
    connection: duckdb.DuckDBPyConnection, votes: Votes, ratings: list[tuple[str, float]]
) -> None:
    for response, rating in ratings:
        votes.add(response=response, rating=rating)
    assert analyse(connection).agreement.alpha is None


def test_the_closed_form_of_alpha_agrees_with_the_library() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, size=(50, 9))
    counts[:, 0] += 2  # every answer is rated twice or more
    answer, value = np.nonzero(counts)
    rating, ratings = 1 + value / 2, counts[answer, value]

    expected = krippendorff_alpha(answer, value, rating, ratings)

    assert interval_alpha(answer, rating, ratings) == pytest.approx(expected, abs=1e-12)


def test_words_in_complaints(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    votes.add(rating=1, comment="Informação ERRADA, errada, errada! O preço não é este")
    votes.add(thumbs_up=False, comment="The informação doesn't help: nao sei o preço")
    votes.add(rating=3, comment="neutra")
    votes.add(rating=5, comment="errada mas boa")
    votes.add(comment="sem nota")
    votes.add(rating=2, comment="e\u0301tica $x_1$ at 24h")  # decomposed: é in two code points

    words = {row.word: row.comments for row in analyse(connection).complaint_words}

    assert words == {"informação": 2, "preço": 2, "errada": 1, "help": 1, "sei": 1, "ética": 1}
    assert list(words)[:2] == ["informação", "preço"]


def test_json_round_trip_and_fixed_order(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    fill_with_ties(votes)

    analytics = analyse(connection)

    assert FeedbackAnalytics.model_validate_json(analytics.model_dump_json()) == analytics
    connection.execute("CREATE TEMP TABLE shuffled AS FROM feedback ORDER BY sha256(feedback_id)")
    connection.execute("DELETE FROM feedback")
    connection.execute("INSERT INTO feedback FROM shuffled")
    assert analyse(connection).model_dump_json() == analytics.model_dump_json()


def fill_with_ties(votes: Votes) -> None:
    for number in range(120):
        votes.add(
            user=f"$user_{number % 8}$ <b>|",
            query=f"Question {number % 12} `x` | <script>",
            response=f"r{number % 3}",
            rating=number % 5 + 1,
            comment=f"reclamação número {'abcdef'[number % 6] * 4} $alpha$ 你好世界",
            occurred_at=datetime(2026, 2, 1 + number % 20),
        )


def test_settings_below_one_are_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(InputError, match="min_votes is 0"):
        analyse(connection, min_votes=0)
    with pytest.raises(InputError, match="top is -1"):
        analyse(connection, top=-1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("preço | prazo", r"preço \| prazo"),
        ("<script>alert(1)</script> & co", r"&lt;script&gt;alert\(1\)&lt;/script&gt; &amp; co"),
        ("**b** _i_ `c` ~s~", r"\*\*b\*\* \_i\_ \`c\` \~s\~"),
        ("![x](http://evil)", r"\!\[x\]\(http\://evil\)"),
        ("see WWW.evil.com or a@b.com", r"see WWW\.evil.com or a\@b.com"),
        ("back\\slash |", r"back\\slash \|"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("left\u202eright\x00", "left right"),
        ("R$ 5 e R$ 6", r"R\$ 5 e R\$ 6"),
    ],
)
def test_user_text_stays_text(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_long_text_is_shortened_before_it_is_escaped() -> None:
    assert escape("|" * 500) == r"\|" * (MAX_TEXT_CHARS - 1) + "…"
    assert escape("a" * MAX_TEXT_CHARS) == "a" * MAX_TEXT_CHARS


def test_markdown_tables_keep_their_shape(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    fill_with_ties(votes)

    report = markdown(analyse(connection))

    assert "<" not in report
    assert r"Question 0 \`x\` \| &lt;script&gt;" in report
    for block in report.split("\n\n"):
        if block.startswith("|"):
            assert len({line.replace(r"\|", "").count("|") for line in block.strip().splitlines()}) == 1


def test_pictures(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    fill_with_ties(votes)
    add_choice(connection, "q", "ana", datetime(2026, 2, 3))
    analytics = analyse(connection)

    pictures = plots(analytics)

    assert list(pictures) == ["volume_by_day", "rating_distribution", "rater_strictness", "complaint_words"]
    assert pictures == plots(analytics)
    for picture in pictures.values():
        assert len(picture) < MAX_PNG_BYTES
        image = Image.open(BytesIO(picture))
        assert image.width == 800
        assert "Software" not in image.info


def test_votes_side_by_side_and_corrections(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [("base", "dpo", "left"), ("dpo", "base", "left"), ("dpo", "base", "left"), ("base", "dpo", "tie")]
    for number, (left, right, verdict) in enumerate([*rows, ("base", "dpo", "both_bad"), ("dpo", "dpo", "left")]):
        connection.execute(
            "INSERT INTO feedback_comparisons (feedback_id, source, position, ingestion, row_digest, query, query_key, "
            "response_left, response_right, response_left_digest, response_right_digest, model_left, model_right, "
            "verdict, masked) VALUES (?, 'test', 1, 1, ?, 'q', ?, 'a', 'b', ?, ?, ?, ?, ?, MAP {'cpf': 2})",
            [str(number), NO_DIGEST, *map(text_digest, ("q", "a", "b")), left, right, verdict],
        )
    add_choice(connection, "q", "ana")
    connection.execute("UPDATE feedback_choices SET reason = 'correction'")

    analytics = analyse(connection)

    (duel,) = analytics.duels
    assert (duel.model, duel.rival, duel.votes) == ("base", "dpo", 5)
    assert (duel.won, duel.lost, duel.ties, duel.both_bad) == (1, 2, 1, 1)
    assert (analytics.totals.comparisons, analytics.totals.corrections) == (6, 1)
    assert analytics.masked_by_kind == {"cpf": 12}
    assert "Models side by side" in markdown(analytics)


def test_a_changed_vote_counts_once(connection: duckdb.DuckDBPyConnection, votes: Votes) -> None:
    votes.add(user="ana", thumbs_up=False, occurred_at=datetime(2026, 3, 1, 10))
    votes.add(user="ana", thumbs_up=True, rating=4, occurred_at=datetime(2026, 3, 1, 11))
    votes.add(user="ana", thumbs_up=True, rating=4, comment="boa", occurred_at=datetime(2026, 3, 1, 12))

    analytics = analyse(connection)

    assert (analytics.totals.votes, analytics.totals.ratings, analytics.totals.comments) == (3, 1, 1)
    assert (analytics.thumbs.up, analytics.thumbs.down) == (1, 0)
    assert [bar.ratings for bar in analytics.rating_distribution] == [0, 0, 0, 1, 0]
