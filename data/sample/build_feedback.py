"""Build sample feedback for the Galileu chatbot: synthetic votes on the hand-written answers of `bank/`.

    python data/sample/build_feedback.py data/feedback/feedback.db

Nobody gave these votes. They are drawn from the model of people below: every answer has a quality, every rater a
strictness, some rate with stars and some only with a thumb, some write a comment, some compare two answers side by
side. A few rows are broken the way real rows are. The same seed gives the same rows.
"""

import argparse
import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

BANK = Path(__file__).with_name("bank")
SEED = 1564
FIRST_DAY = datetime(2026, 8, 3, tzinfo=UTC)
DAYS = 84

# The tables of the chatbot's own file; `feedback_id` and `user_id` are columns this project adds.
SCHEMA = """
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    session_id TEXT,
    query TEXT NOT NULL,
    response TEXT NOT NULL,
    rating INTEGER,
    thumbs_up BOOLEAN,
    comment TEXT,
    source_documents TEXT,
    metadata TEXT,
    feedback_id TEXT,
    user_id TEXT
);
CREATE TABLE preference_pairs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    timestamp TEXT NOT NULL,
    query TEXT NOT NULL,
    response_chosen TEXT NOT NULL,
    response_rejected TEXT NOT NULL,
    reason TEXT,
    metadata TEXT,
    feedback_id TEXT,
    user_id TEXT
);
"""

# What a rater of average strictness thinks of an answer, on the scale of 1 to 5.
APPEAL = {"in_character": 4.7, "dry": 3.9, "vague": 2.4, "wrong": 1.9, "wrong_language": 1.8, "off_topic": 1.3}

COMMENTS = {
    "in_character": ["Adorei, parece ele falando!", "Resposta clara e simpática.", "Muito bom, aprendi algo."],
    "dry": ["Correto, mas seco demais.", "Certo, porém sem graça.", "Parece verbete de enciclopédia."],
    "vague": ["Não respondeu a pergunta.", "Enrolou e não disse nada.", "Resposta vaga demais."],
    "wrong": ["Está errado, confira os fatos.", "Informação falsa.", "A resposta tem um erro grave."],
    "wrong_language": ["Perguntei em português!", "Respondeu em outro idioma.", "Não entendi, está em inglês?"],
    "off_topic": ["Fugiu do assunto.", "O que isso tem a ver com a pergunta?", "Resposta fora do tema."],
}
REASONS = ["Mais completa.", "Mais correta.", "Fala como o Galileu.", "Responde de verdade.", None, None]


@dataclass(frozen=True)
class Rater:
    """A person: `leniency` moves every rating, `noise` is how much the mood of the day matters."""

    user_id: str
    leniency: float
    noise: float
    thumbs_only: bool
    comments: float  # share of votes with a comment


PEOPLE = 400


Row = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description="Build synthetic feedback from the question bank.")
    parser.add_argument("output", type=Path, help="the SQLite file to make; an existing one is left alone")
    output = parser.parse_args().output
    if output.exists():
        parser.error(f"{output} exists; feedback is never overwritten")
    bank = load_bank()
    rng = random.Random(SEED)
    crowd = people(rng)
    votes = list(broken(rng, list(named("vote", rated_votes(rng, bank, crowd)))))
    choices = list(named("choice", side_by_side(rng, bank, crowd)))
    write(output, votes, choices)
    print(f"{output}: {len(votes)} votes and {len(choices)} side-by-side choices on {len(bank)} questions (synthetic)")


def named(kind: str, rows: Iterator[Row]) -> Iterator[Row]:
    """Each row with an id, as a client makes it: the same sample has the same ids everywhere."""
    for number, row in enumerate(rows):
        yield {**row, "feedback_id": f"sample-{kind}-{number:04d}"}


def load_bank() -> list[dict]:
    """Every question with its answers, file by file."""
    return [entry for path in sorted(BANK.glob("*.yaml")) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def people(rng: random.Random) -> list[Rater]:
    """Whoever used the chat: most are mild, some are strict or moody, a quarter only ever clicks a thumb."""
    return [
        Rater(
            user_id=f"visitor-{number:03d}",
            leniency=rng.gauss(0, 0.5),
            noise=rng.uniform(0.3, 0.8),
            thumbs_only=rng.random() < 0.25,
            comments=rng.choice([0, 0, 0.1, 0.2, 0.4]),
        )
        for number in range(PEOPLE)
    ]


def rated_votes(rng: random.Random, bank: list[dict], crowd: list[Rater]) -> Iterator[Row]:
    """Two to four people vote on every answer."""
    for entry in bank:
        for answer in entry["answers"]:
            for rater in rng.sample(crowd, rng.choice([2, 2, 3, 4])):
                yield vote(rng, entry["question"], answer, rater)


def vote(rng: random.Random, question: str, answer: dict, rater: Rater) -> Row:
    opinion = APPEAL[answer["quality"]] + rater.leniency + rng.gauss(0, rater.noise)
    rating = min(5, max(1, round(opinion)))
    also_thumb = rng.random() < 0.3
    commented = rng.random() < rater.comments
    return {
        "timestamp": moment(rng),
        "session_id": f"{rater.user_id}-{rng.randrange(4):02d}",
        "query": as_typed(rng, question),
        "response": answer["text"],
        "rating": None if rater.thumbs_only else rating,
        "thumbs_up": int(rating > 3) if rater.thumbs_only or also_thumb else None,
        "comment": rng.choice(COMMENTS[answer["quality"]]) if commented else None,
        "source_documents": "[]",
        "metadata": json.dumps({"synthetic": True}),
        "user_id": rater.user_id,
    }


def side_by_side(rng: random.Random, bank: list[dict], crowd: list[Rater]) -> Iterator[Row]:
    """On a third of the questions, one to three people see two of the answers and choose one."""
    for entry in bank:
        if rng.random() > 1 / 3:
            continue
        one, other = rng.sample(entry["answers"], 2)
        for rater in rng.sample(crowd, rng.choice([1, 1, 2, 3])):
            difference = APPEAL[one["quality"]] - APPEAL[other["quality"]] + rng.gauss(0, 2 * rater.noise)
            chosen, rejected = (one, other) if difference > 0 else (other, one)
            yield {
                "timestamp": moment(rng),
                "query": as_typed(rng, entry["question"]),
                "response_chosen": chosen["text"],
                "response_rejected": rejected["text"],
                "reason": rng.choice(REASONS),
                "metadata": json.dumps({"synthetic": True}),
                "user_id": rater.user_id,
            }


def as_typed(rng: random.Random, question: str) -> str:
    """People do not all type a question alike: some leave out capitals or the question mark."""
    return rng.choices([question, question.rstrip("?"), question.lower(), f"  {question} "], [12, 2, 2, 1])[0]


def moment(rng: random.Random) -> str:
    """Some time of the twelve weeks, more often in the evening (Brasília time)."""
    hour = rng.choice([12, 14, 17, 20, 21, 22, 23, 24, 25])
    when = FIRST_DAY + timedelta(days=rng.randrange(DAYS), hours=hour, seconds=rng.randrange(3600))
    return when.isoformat()


def broken(rng: random.Random, votes: list[Row]) -> Iterator[Row]:
    """The votes in order of time, some of them spoilt as in real life, some sent twice."""
    votes.sort(key=lambda row: str(row["timestamp"]))
    spoilt = dict(
        zip(
            rng.sample(range(len(votes)), 24),
            [*["encoding"] * 10, *["empty"] * 4, *["rating"] * 3, *["unrated"] * 2, *["twice"] * 5],
            strict=True,
        )
    )
    for index, row in enumerate(votes):
        fault = spoilt.get(index)
        if fault == "encoding":  # UTF-8 taken for Latin-1 somewhere on the way
            yield {**row, "response": str(row["response"]).encode("utf-8").decode("cp1252", "replace")}
        elif fault == "empty":
            yield {**row, "response": ""}
        elif fault == "rating":
            yield {**row, "rating": 7}
        elif fault == "unrated":
            yield {**row, "rating": None, "thumbs_up": None, "comment": None}
        else:
            yield row
            if fault == "twice":
                yield row


def write(output: Path, votes: list[Row], choices: list[Row]) -> None:
    """Write under a temporary name and rename, so that nobody reads half a file."""
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{output.name}.partial")
    partial.unlink(missing_ok=True)
    connection = sqlite3.connect(partial)
    connection.executescript(SCHEMA)
    for table, rows in (("feedback", votes), ("preference_pairs", choices)):
        columns = list(rows[0])
        places = ", ".join(f":{name}" for name in columns)
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)
    connection.commit()
    connection.close()
    partial.rename(output)


if __name__ == "__main__":
    main()
