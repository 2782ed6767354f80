"""The graph drawn: nothing overlaps, nothing is cut, and names stay text."""

import base64
import hashlib
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from galileu_pipeline.cli import app
from galileu_pipeline.languages import LANGUAGES, Language
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.layout import columns, draw
from galileu_pipeline.lineage.mermaid import mermaid
from galileu_pipeline.lineage.origin import Origin, origin_of
from galileu_pipeline.lineage.origin_page import origin_page
from galileu_pipeline.lineage.picture import svg
from galileu_pipeline.lineage.texts import TEXTS
from galileu_pipeline_tests.lineage.conftest import Round

SVG = "{http://www.w3.org/2000/svg}"
STRANGE = "</text><script>alert(1)</script>\"'&[x](y)|`\x1b_model"


def texts_of(picture: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def strange_origin(store: ArtifactStore, trained: Round) -> Origin:
    """As a forged manifest would have it: the name of an asset is markup."""
    forged = Artifact(trained.dpo.path, trained.dpo.manifest.model_copy(update={"asset": STRANGE}))
    return origin_of(store, forged)


def test_every_artifact_is_there_with_its_counts(store: ArtifactStore, trained: Round) -> None:
    ChampionFile(store).promote(trained.dpo.id, by="rule", in_place_of=None)
    origin = origin_of(store, trained.dpo)
    shown = texts_of(svg(origin, "en"))
    for node in origin.nodes:
        assert node.asset in shown
        assert node.id.rsplit("-", 1)[1] in shown
    assert {"5 rows of feedback by 3 people", "4 rows of feedback by 2 people", f"promoted: {trained.dpo.id}"} <= {
        *shown
    }
    assert [text for text in shown if text.startswith("in service since")]
    assert "5 avaliações de 3 pessoas" in texts_of(svg(origin, "pt"))
    assert trained.decision.id.rsplit("-", 1)[1] not in texts_of(svg(origin.past, "en"))


def test_names_stay_text(store: ArtifactStore, trained: Round) -> None:
    origin = strange_origin(store, trained)
    picture = svg(origin, "en")
    assert "<script" not in picture
    assert [text for text in texts_of(picture) if text.startswith("</text><script>")]
    page = origin_page(origin, "en")
    assert page.count("<script") == 1
    chart = mermaid(origin)
    assert not re.search(r'["<`|\[\]]', "".join(re.findall(r'\["(.*)"\]', chart)).replace("<br/>", ""))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_runs_its_own_script_and_fetches_nothing(
    store: ArtifactStore, trained: Round, language: Language
) -> None:
    page = origin_page(origin_of(store, trained.dpo), language)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="(.*?)"', page)
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"(?:src|href)=|url\((?!#)|@import", page)
    assert set(re.findall(r"https?://[^\s\"']*", page)) == {"http://www.w3.org/2000/svg"}
    assert TEXTS[language]["zoom_in"] in page


def test_both_languages_say_the_same_things() -> None:
    pt, en = (TEXTS[language] for language in LANGUAGES)
    assert pt.keys() == en.keys()
    for name in pt:
        assert sorted(re.findall(r"{\w+}", pt[name])) == sorted(re.findall(r"{\w+}", en[name])), name


def test_on_the_command_line(
    store: ArtifactStore, trained: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    output = tmp_path / "lineage.html"
    CliRunner().invoke(app, ["lineage", trained.dpo.id, "--html", str(output), "--language", "en"])
    assert f"<h1>Where {trained.dpo.id} came from</h1>" in output.read_text(encoding="utf-8")
    chart = CliRunner().invoke(app, ["lineage", trained.dpo.id, "--mermaid"]).stdout
    assert chart.startswith("flowchart LR\n")
    assert chart.count(" --> ") == len(origin_of(store, trained.dpo).edges)


GRAPHS = st.integers(1, 9).flatmap(
    lambda size: st.tuples(
        st.lists(st.tuples(st.floats(20, 200), st.floats(20, 90)), min_size=size, max_size=size),
        st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))),
    )
)


@settings(max_examples=60, deadline=None)
@given(GRAPHS)
def test_boxes_do_not_overlap_and_edges_go_to_the_right(
    graph: tuple[list[tuple[float, float]], set[tuple[int, int]]],
) -> None:
    sizes = {f"n{number}": size for number, size in enumerate(graph[0])}
    edges = sorted((f"n{min(edge)}", f"n{max(edge)}") for edge in graph[1] if edge[0] != edge[1])
    drawing = draw(sizes, edges)
    for source, target in edges:
        x, _, width, _ = drawing.places[source]
        assert x + width < drawing.places[target][0]
    for one, other in itertools.combinations(drawing.places.values(), 2):
        apart_x = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
        apart_y = one[1] + one[3] <= other[1] + 1e-6 or other[1] + other[3] <= one[1] + 1e-6
        assert apart_x or apart_y
    for name, (x, y, width, height) in drawing.places.items():
        assert width >= sizes[name][0]
        assert -1e-6 <= x <= x + width <= drawing.width + 1e-6
        assert -1e-6 <= y <= y + height <= drawing.height + 1e-6


def test_a_column_is_the_longest_way_from_the_roots() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("e", "d")]
    assert columns("abcde", edges) == {"a": 0, "b": 1, "c": 2, "d": 3, "e": 0}


def test_a_circle_is_drawn_all_the_same() -> None:
    drawing = draw(dict.fromkeys("abc", (50.0, 30.0)), [("a", "b"), ("b", "c"), ("c", "b")])
    assert drawing.places.keys() == {"a", "b", "c"}
