"""What ratings mean: judged for the file as a whole, so that no vote is taken for its opposite."""

import csv
import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.ingestor import Ingestor
from galileu_pipeline.feedback.ingestion.scale import FIVE_STARS, THUMBS, Scale
from galileu_pipeline.feedback.pairing.exports import ExportSettings, export
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import import_file, preparer

pytestmark = pytest.mark.slow


def json_file(folder: Path, ratings: Sequence[Any]) -> Path:
    path = folder / "votes.jsonl"
    rows = ({"query": f"q{place}", "response": "r", "rating": rating} for place, rating in enumerate(ratings))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def csv_file(folder: Path, ratings: Sequence[Any]) -> Path:
    path = folder / "votes.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("query", "response", "rating"))
        writer.writerows((f"q{place}", "r", rating) for place, rating in enumerate(ratings))
    return path


def sqlite_file(folder: Path, ratings: Sequence[Any]) -> Path:
    path = folder / "votes.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE feedback (query, response, rating)")
        connection.executemany(
            "INSERT INTO feedback VALUES (?, 'r', ?)", [(f"q{place}", rating) for place, rating in enumerate(ratings)]
        )
    return path


Writer = Callable[[Path, Sequence[Any]], Path]


def scores(warehouse: Warehouse) -> list[float]:
    with warehouse.open() as connection:
        return [score for (score,) in connection.execute("SELECT score FROM feedback ORDER BY query").fetchall()]


@pytest.mark.parametrize("write", [json_file, csv_file, sqlite_file])
@pytest.mark.parametrize(
    ("ratings", "likely"),
    [
        ([0, 3, 5, 7, 10], "--scale 0-10"),
        ([2, 5, 9], "--scale 0-10"),
        ([1, 2, 3, 4, 5, 6], "--scale 0-10"),
        ([1, -1, 1], "--scale thumbs"),
        ([1, 0, 0, 1], "--scale thumbs"),
        ([0, 0], "--scale thumbs"),
        ([-1, 0, 1], "--scale=-1..1"),
        ([0, 2, 5], "--scale 0-5"),
        ([0.25, 0.5, 1], "--scale 0-1"),
        ([20, 85, 100], "--scale 0-100"),
        ([1] * 12, "--scale thumbs"),
        ([1] * 150 + [0], "--scale thumbs"),
        ([1] * 150 + [-1], "--scale thumbs"),
    ],
)
def test_ratings_of_another_scale_are_refused_as_one_with_the_likely_scale(
    ratings: list[float], likely: str, write: Writer, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = write(tmp_path, ratings)
    with pytest.raises(InputError, match=likely) as error:
        import_file(warehouse, path)
    assert str(path) in str(error.value)
    assert scores(warehouse) == []
    with warehouse.open() as connection:
        assert connection.execute("SELECT count(*) FROM feedback_quarantine").fetchall() == [(0,)]


@pytest.mark.parametrize(
    ("scale", "ratings", "expected"),
    [
        ("0-10", [0, 5, 10, 7.5], [0, 0.5, 1, 0.75]),
        ("1-10", [1, 5.5, 10], [0, 0.5, 1]),
        ("0-1", [0, 0.25, 1], [0, 0.25, 1]),
        ("0-100", ["12,5", 50], [0.125, 0.5]),
        ("-1..1", [-1, 0, 1], [0, 0.5, 1]),
        ("6-1", [1, 6, 3.5], [1, 0, 0.5]),
        ("1-5", [1, 3, 5], [0, 0.5, 1]),
        ("thumbs", [1, -1], [1, 0]),
        ("thumbs", [1, 0, 0], [1, 0, 0]),
        ("thumbs", [True, False], [1, 0]),
        ("thumbs", ["up", "down", "👍", "Like", "Não"], [1, 0, 1, 1, 0]),
        ("thumbs", ["👍🏽", "👎🏿", "👍\ufe0f"], [1, 0, 1]),
    ],
)
def test_a_scale_that_is_said(
    scale: str, ratings: list[Any], expected: list[float], tmp_path: Path, warehouse: Warehouse
) -> None:
    assert import_file(warehouse, json_file(tmp_path, ratings), scale=scale).accepted == len(ratings)
    assert scores(warehouse) == expected


@pytest.mark.parametrize(
    ("scale", "ratings"),
    [
        ("thumbs", [1, 2, 3, 4, 5]),
        ("thumbs", [-1, 0, 1]),
        ("0-1", [1, 2, 3, 4, 5]),
        ("1-5", [1, 50, 100]),
    ],
)
def test_a_scale_that_is_said_but_does_not_fit(
    scale: str, ratings: list[int], tmp_path: Path, warehouse: Warehouse
) -> None:
    with pytest.raises(InputError, match="scale"):
        import_file(warehouse, json_file(tmp_path, ratings), scale=scale)
    assert scores(warehouse) == []


def test_ones_beside_a_field_for_thumbs_are_stars(tmp_path: Path, warehouse: Warehouse) -> None:
    import_file(warehouse, json_file(tmp_path, [1] * 12), "1-5")
    for ending in ("jsonl", "csv"):
        with warehouse.open() as connection:
            export(connection, tmp_path / f"out.{ending}", ExportSettings(kind="feedback"))
        assert import_file(warehouse, tmp_path / f"out.{ending}").duplicates == 12
    (tmp_path / "up.csv").write_text("query,response,rating,thumbs_up\n" + "q,r,1,1\n" * 12)
    with pytest.raises(InputError, match="--scale thumbs"):
        import_file(warehouse, tmp_path / "up.csv")


def test_slips_among_many_ratings_are_refused_alone(tmp_path: Path, warehouse: Warehouse) -> None:
    report = import_file(warehouse, json_file(tmp_path, [1, 2, 3, 4, 5] * 40 + [55]))
    assert (report.accepted, report.quarantined) == (200, {"invalid_rating": 1})


def test_slips_among_few_ratings_when_the_scale_is_said(tmp_path: Path, warehouse: Warehouse) -> None:
    assert import_file(warehouse, json_file(tmp_path, [5, 1, 9]), scale="1-5").quarantined == {"invalid_rating": 1}


@pytest.mark.parametrize("ratings", [[1], [1, 1], [5, 5, 5], [1, 2], [1.5, 4.5], ["4,5", "2"], [None, None, 3]])
def test_five_stars_need_not_be_said(ratings: list[Any], tmp_path: Path, warehouse: Warehouse) -> None:
    assert not import_file(warehouse, json_file(tmp_path, ratings)).quarantined.get("invalid_rating")


@pytest.mark.parametrize(
    ("thumbs", "expected"),
    [
        ([1, -1], [1, 0]),
        ([1, 0], [1, 0]),
        (["yes", "no"], [1, 0]),
        (["👍", "👎"], [1, 0]),
        (["VERDADEIRO", "FALSO"], [1, 0]),
        (["t", "f", "Y", "N", "S"], [1, 0, 1, 0, 1]),
        (["Gostei", "Não gostei"], [1, 0]),
    ],
)
def test_spellings_of_thumbs(thumbs: list[Any], expected: list[float], tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"query": f"q{place}", "response": "r", "thumbs_up": thumb} for place, thumb in enumerate(thumbs)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    import_file(warehouse, path)
    assert scores(warehouse) == expected


def test_a_thumb_of_zero_besides_minus_one(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.jsonl"
    rows = [{"query": f"q{thumb}", "response": "r", "thumbs_up": thumb} for thumb in (1, 0, -1)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(InputError, match=r"--map rating=thumbs_up --scale=-1\.\.1"):
        import_file(warehouse, path)
    assert import_file(warehouse, path, scale="-1..1", rating="thumbs_up").accepted == 3
    assert scores(warehouse) == [0, 0.5, 1]


@pytest.mark.parametrize(("scale", "rating"), [("0-10", 3), ("0-100", 4), ("0-1", 1), ("thumbs", 1), ("6-1", 2)])
def test_a_refused_row_is_not_judged_again_on_another_scale(
    scale: str, rating: float, tmp_path: Path, warehouse: Warehouse
) -> None:
    """Its rating was kept so that it says the same on 1 to 5."""
    path = tmp_path / "x.jsonl"
    lost, whole = ({"query": "q", "response": text, "rating": rating} for text in ("", "r"))
    path.write_text(json.dumps(lost) + "\n" + json.dumps(whole), encoding="utf-8")
    import_file(warehouse, path, scale=scale)
    with warehouse.open() as connection:
        connection.execute('UPDATE feedback_quarantine SET raw = json_merge_patch(raw, \'{"response": "mended"}\')')
        Ingestor(connection, preparer()).retry_quarantine()
    first, second = scores(warehouse)
    assert first == second


@pytest.mark.parametrize(("scale", "rating"), [("0-1", 3), ("0-2", 4), ("thumbs", 5)])
def test_a_rating_outside_its_scale_never_becomes_one_of_five(
    scale: str, rating: float, tmp_path: Path, warehouse: Warehouse
) -> None:
    import_file(warehouse, json_file(tmp_path, [0, 1] * 60 + [rating]), scale=scale)
    with warehouse.open() as connection:
        assert Ingestor(connection, preparer()).retry_quarantine().refused == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1-5", FIVE_STARS),
        ("0-10", Scale(0, 10)),
        ("-1..1", Scale(-1, 1)),
        ("-1-1", Scale(-1, 1)),
        ("0,5-2,5", Scale(0.5, 2.5)),
        ("5 to 1", Scale(5, 1)),
        ("Thumbs", THUMBS),
    ],
)
def test_how_a_scale_is_written(text: str, expected: Scale) -> None:
    assert Scale.parse(text) == expected
    assert Scale.parse(str(expected)) == expected


@pytest.mark.parametrize("text", ["", "5", "5-5", "good-bad", "1-5-9", "stars"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(InputError, match="--scale"):
        Scale.parse(text)


@pytest.mark.parametrize("thumbs", [[1, 2, 3, 4, 5] * 2, [1, 2] * 5, [0, 1, 10]])
def test_thumbs_that_are_no_thumbs_refuse_the_file(thumbs: list[int], tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.csv"
    path.write_text("query,response,thumbs_up\n" + "".join(f"q,r{n},{t}\n" for n, t in enumerate(thumbs)))
    with pytest.raises(InputError, match=r"numbers in thumbs_up are no thumbs; .*--map rating=thumbs_up"):
        import_file(warehouse, path)
    assert scores(warehouse) == []
