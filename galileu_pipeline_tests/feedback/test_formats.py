"""Other programs' formats: known by their records, read without being told."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from galileu_pipeline.feedback.ingestion.imports import FileImport, import_file
from galileu_pipeline.feedback.ingestion.ingestor import Ingestor
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.formats import FORMATS, recognise_format
from galileu_pipeline.feedback.ingestion.sources.formats.naming import answers_of
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, preparer

pytestmark = pytest.mark.slow

Record = dict[str, Any]
IP = "203.0.113.7"


def messages(*texts: str) -> list[Record]:
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(texts)]


def open_webui(rating: int | None, detail: int | None = None, **changes: Any) -> Record:
    said = {
        "m1": {"id": "m1", "parentId": None, "role": "user", "content": "Quem é você?"},
        "m2": {"id": "m2", "parentId": "m1", "role": "assistant", "content": "Galileu."},
        "m3": {"id": "m3", "parentId": "m1", "role": "assistant", "content": "outro ramo"},
    }
    return {
        "id": f"f{rating}{detail}",
        "user_id": "ana",
        "version": 0,
        "type": "rating",
        "data": {"rating": rating, "details": {"rating": detail}, "model_id": "m", "comment": "bom", "reason": "x"},
        "meta": {"chat_id": "c", "message_id": "m2"},
        "snapshot": {"chat": {"chat": {"history": {"messages": said, "currentId": "m3"}}}},
        "created_at": 1_770_000_000,
        "updated_at": 1_770_000_060,
        **changes,
    }


def state(answer: str, name: str) -> Record:
    turns = [["USER", "exemplo"], ["ASSISTANT", "exemplo"], ["USER", "Oi?"], ["ASSISTANT", answer], ["USER", None]]
    return {"roles": ["USER", "ASSISTANT"], "messages": turns, "offset": 2, "model_name": name, "conv_id": f"c-{name}"}


def arena_vote(kind: str) -> Record:
    states = [state("esquerda", "x"), state("direita", "y")]
    return {"tstamp": 1_770_000_000.5, "type": kind, "models": ["", ""], "states": states, "ip": IP}


def arena_thumb(kind: str) -> Record:
    return {"tstamp": 1_770_000_000.5, "type": kind, "model": "x", "state": state("esquerda", "x"), "ip": IP}


def battle(winner: str) -> Record:
    return {
        "question_id": f"b-{winner}",
        "model_a": "x",
        "model_b": "y",
        "winner": winner,
        "judge": "arena_user_1",
        "conversation_a": messages("Oi?", "esquerda"),
        "conversation_b": messages("Oi?", "direita"),
        "tstamp": 1_770_000_000.5,
        "ip": IP,
    }


def label_studio(selected: str, cancelled: bool = False, **data: str) -> Record:
    annotation = {
        "id": f"{selected}{cancelled}",
        "completed_by": {"id": 7, "email": "ana@example.org"},
        "was_cancelled": cancelled,
        "created_at": "2026-03-10T10:00:00Z",
        "result": [{"type": "pairwise", "from_name": "pw", "to_name": "t-1,t-2", "value": {"selected": selected}}],
    }
    texts = data or {"prompt": "Oi?", "answer_b": "direita", "answer_a": "esquerda"}
    return {"id": 1, "data": texts, "annotations": [annotation]}


def argilla(responses: Any, **fields: str) -> Record:
    texts = fields or {"instruction": "Oi?", "response-1": "esquerda", "response-2": "direita"}
    return {"id": "r", "fields": texts, "responses": responses, "metadata": {"batch": 1}, "status": "completed"}


def submitted(value: Any, status: str = "submitted") -> list[Record]:
    return [{"id": "a", "status": status, "user_id": "ana", "values": {"question": {"value": value}}}]


def langfuse(value: Any, kind: str, **score: Any) -> Record:
    given = {"id": f"s-{value}", "name": "user-feedback", "value": value, "dataType": kind, "source": "API", **score}
    return {"id": "t", "input": {"messages": messages("Oi?")}, "output": {"content": "esquerda"}, "scores": [given]}


def langfuse_score(word: str, **changes: Any) -> Record:
    score = {"id": f"c-{word}", "traceId": "t", "name": "user-feedback", "stringValue": word, "dataType": "CATEGORICAL"}
    return {**score, "source": "API", "trace": {"input": "Oi?", "output": "esquerda"}, **changes}


def openai(**changes: Any) -> Record:
    return {
        "input": {"messages": messages("Oi?"), "tools": [], "parallel_tool_calls": True},
        "preferred_output": [{"role": "assistant", "content": "esquerda"}],
        "non_preferred_output": [{"role": "assistant", "content": "direita"}],
        **changes,
    }


ULTRA: Record = {
    "source": "x",
    "instruction": "Oi?",
    "models": ["x", "y"],
    "completions": [
        {"model": "x", "response": "esquerda", "overall_score": 10, "critique": "Great."},
        {"model": "y", "response": "direita", "overall_score": 5.5, "annotations": {"honesty": "4"}},
    ],
}
HELPSTEER: Record = {
    **{"prompt": "Oi?", "response": "esquerda"},
    **{"helpfulness": 3, "correctness": 4, "coherence": 4, "complexity": 1, "verbosity": 0},
}


def helpsteer3(preference: int) -> Record:
    return {
        "domain": "general",
        "context": messages("Oi?"),
        "response1": "esquerda",
        "response2": "direita",
        "overall_preference": preference,
    }


def preference2(strength: int) -> Record:
    sides = {"response_1": "esquerda", "response_2": "direita"}
    return {"split": "train", "prompt": "Oi?", **sides, "preference_strength": strength}


def hh(chosen: str, rejected: str, before: str = "\n\nHuman: Oi?") -> Record:
    return {"chosen": f"{before}\n\nAssistant: {chosen}", "rejected": f"{before}\n\nAssistant: {rejected}"}


def trl_kto(label: bool, prompt: str | list[Record] = "Oi?") -> Record:
    answer = "esquerda" if isinstance(prompt, str) else messages("", "esquerda")[1:]
    return {"prompt": prompt, "completion": answer, "label": label}


def trl(prompt: str | list[Record] | None, chosen: str | list[Record], rejected: str | list[Record]) -> Record:
    return {**({} if prompt is None else {"prompt": prompt}), "chosen": chosen, "rejected": rejected, "margin": 1.0}


def alpaca(**changes: Any) -> Record:
    return {"instruction": "Oi?", "input": "", "system": "Você é Galileu.", **changes}


def sharegpt(**changes: Any) -> Record:
    return {"conversations": [{"from": "human", "value": "Oi?"}, {"from": "gpt", "value": "esquerda"}], **changes}


SIDES = (messages("", "esquerda")[1:], messages("", "direita")[1:])
WHOLE = (messages("Oi?", "esquerda"), messages("Oi?", "direita"))
PREFERENCES = {
    "openai": ("OpenAI preferences", openai()),
    "hh": ("HH-RLHF", hh("esquerda", "direita")),
    "trl texts": ("TRL preferences", trl("Oi?", "esquerda", "direita")),
    "trl messages": ("TRL preferences", trl([{"role": "system", "content": "x"}, *messages("Oi?")], *SIDES)),
    "trl implicit prompt": ("TRL preferences", trl(None, *WHOLE)),
    "trl prompt and whole conversations": ("TRL preferences", trl("Oi?", *WHOLE)),
    "alpaca": ("LLaMA-Factory preferences", alpaca(chosen="esquerda", rejected="direita")),
    "alpaca of one message": ("LLaMA-Factory preferences", alpaca(chosen=SIDES[0], rejected=SIDES[1])),
    "hh with a prompt": ("HH-RLHF", {"prompt": "\n\nHuman: Oi?\n\nAssistant:", **hh("esquerda", "direita")}),
    "hh in parts": (
        "HH-RLHF",
        {"prompt": "\n\nHuman: Oi?\n\nAssistant:", "chosen": " esquerda", "rejected": " direita"},
    ),
    "columns without values": (
        "TRL preferences",
        {**trl(None, *WHOLE), "prompt": None, "instruction": None, "history": None},
    ),
    "messages of two spellings": (
        "LLaMA-Factory preferences",
        {
            "conversations": [{"role": None, "content": None, "from": "human", "value": "Oi?"}],
            "chosen": {"role": None, "content": None, "from": "gpt", "value": "esquerda"},
            "rejected": {"role": None, "content": None, "from": "gpt", "value": "direita"},
        },
    ),
    "sharegpt": (
        "LLaMA-Factory preferences",
        {
            "conversations": [{"from": "system", "value": "x"}, {"from": "human", "value": "Oi?"}],
            "chosen": {"from": "gpt", "value": "esquerda"},
            "rejected": {"from": "gpt", "value": "direita"},
        },
    ),
}


def read(warehouse: Warehouse, path: Path) -> FileImport:
    with warehouse.open() as connection:
        return import_file(Ingestor(connection, preparer()), FeedbackFile.recognise(path), {}, None)


def rows(warehouse: Warehouse, statement: str) -> list[Any]:
    with warehouse.open() as connection:
        return connection.execute(statement).fetchall()


def as_lines(path: Path, records: list[Record]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def as_array(path: Path, records: list[Record]) -> Path:
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    return path


def as_wrapped(path: Path, records: list[Record]) -> Path:
    path.write_text(json.dumps({"data": records, "meta": {"page": 1}}), encoding="utf-8")
    return path


def as_parquet(path: Path, records: list[Record]) -> Path:
    pq.write_table(pa.Table.from_pylist(records), path)
    return path


every_layout = pytest.mark.parametrize("write", [as_lines, as_array, as_wrapped, as_parquet])
VOTES: dict[str, tuple[str, list[Record], list[float]]] = {
    "open webui": ("Open WebUI feedback", [open_webui(1), open_webui(-1), open_webui(1, 10)], [1, 0, 1]),
    "fastchat thumbs": ("FastChat arena logs", [arena_thumb("upvote"), arena_thumb("downvote")], [1, 0]),
    "langfuse": ("Langfuse traces", [langfuse(1, "BOOLEAN"), langfuse(0, "BOOLEAN")], [1, 0]),
    "langfuse words": ("Langfuse traces", [langfuse("like", "CATEGORICAL")], [1]),
    "langfuse numbers": ("Langfuse traces", [langfuse(5, "NUMERIC"), langfuse(2, "NUMERIC")], [1, 0.25]),
    "argilla": ("Argilla records", [argilla(submitted(4), prompt="Oi?", response="esquerda")], [0.75]),
    "ultrafeedback": ("UltraFeedback", [ULTRA], [1, 0.5]),
    "helpsteer": ("HelpSteer ratings", [HELPSTEER], [0.75]),
    "trl": ("TRL answers with labels", [trl_kto(True), trl_kto(False)], [1, 0]),
    "trl messages": ("TRL answers with labels", [trl_kto(True, messages("Oi?"))], [1]),
    "llama-factory": ("LLaMA-Factory answers with kto_tag", [alpaca(output="esquerda", kto_tag=False)], [0]),
    "llama-factory messages": ("LLaMA-Factory answers with kto_tag", [sharegpt(kto_tag=True)], [1]),
}


@every_layout
@pytest.mark.parametrize("sample", VOTES)
def test_votes(sample: str, write: Callable[[Path, list[Record]], Path], tmp_path: Path, warehouse: Warehouse) -> None:
    name, records, scores = VOTES[sample]
    report = read(warehouse, write(tmp_path / "x", records))
    assert report.summary.records == name
    assert report.quarantined == {}
    assert sorted(rows(warehouse, "SELECT score FROM feedback")) == sorted((score,) for score in scores)
    assert {query for (query,) in rows(warehouse, "SELECT query FROM feedback")} <= {"Oi?", "Quem é você?"}
    assert IP not in str(rows(warehouse, "FROM feedback"))


RANKING = [{"value": "response-1", "rank": 2}, {"value": "response-2", "rank": 1}]
BY_LABEL = {"better": [{"value": "response-1", "user_id": "ana"}]}
COMPARISONS: dict[str, tuple[str, list[tuple[Record, str]]]] = {
    "fastchat": (
        "FastChat arena logs",
        [
            (arena_vote("leftvote"), "left"),
            (arena_vote("rightvote"), "right"),
            (arena_vote("tievote"), "tie"),
            (arena_vote("bothbad_vote"), "both_bad"),
        ],
    ),
    "battles": (
        "LMSYS arena battles",
        [
            (battle("model_a"), "left"),
            (battle("model_b"), "right"),
            (battle("tie"), "tie"),
            (battle("tie (bothbad)"), "both_bad"),
        ],
    ),
    "label studio": ("Label Studio pairwise", [(label_studio("left"), "left"), (label_studio("right"), "right")]),
    "argilla ranking": ("Argilla records", [(argilla(submitted(RANKING)), "right")]),
    "argilla label": ("Argilla records", [(argilla(BY_LABEL), "left")]),
    "helpsteer 3": (
        "HelpSteer preferences",
        [(helpsteer3(-3), "left"), (helpsteer3(2), "right"), (helpsteer3(0), "tie")],
    ),
    "helpsteer 2": ("HelpSteer preferences", [(preference2(-1), "left"), (preference2(1), "right")]),
}


@every_layout
@pytest.mark.parametrize("sample", COMPARISONS)
def test_comparisons(
    sample: str, write: Callable[[Path, list[Record]], Path], tmp_path: Path, warehouse: Warehouse
) -> None:
    name, records = COMPARISONS[sample]
    report = read(warehouse, write(tmp_path / "x", [record for record, _ in records]))
    assert report.summary.records == name
    assert report.quarantined == {}
    statement = "SELECT query, response_left, response_right, verdict FROM feedback_comparisons"
    expected = [("Oi?", "esquerda", "direita", verdict) for _, verdict in records]
    assert sorted(rows(warehouse, statement)) == sorted(expected)
    assert IP not in str(rows(warehouse, "FROM feedback_comparisons"))


@every_layout
@pytest.mark.parametrize("sample", PREFERENCES)
def test_choices(
    sample: str, write: Callable[[Path, list[Record]], Path], tmp_path: Path, warehouse: Warehouse
) -> None:
    name, record = PREFERENCES[sample]
    report = read(warehouse, write(tmp_path / "x", [record]))
    assert report.summary.records == name
    assert rows(warehouse, "SELECT query, chosen, rejected FROM feedback_choices") == [("Oi?", "esquerda", "direita")]


@pytest.mark.parametrize(
    "record",
    [
        openai(input={"messages": messages("Oi?", "Olá.", "E aí?")}),
        trl(messages("Oi?", "Olá.", "E aí?"), *SIDES),
        trl(None, messages("Oi?", "Olá.", "E aí?", "esquerda"), messages("Oi?", "Olá.", "E aí?", "direita")),
        trl("Oi?", *(messages("", "Olá.", "E aí?", answer)[1:] for answer in ("esquerda", "direita"))),
        {"prompt": "E aí?", "history": [["Oi?", "Olá."]], "chosen": "esquerda", "rejected": "direita"},
        alpaca(instruction="E aí?", history=[["Oi?", "Olá."]], chosen="esquerda", rejected="direita"),
        hh("esquerda", "direita", "\n\nHuman: Oi?\n\nAssistant: Olá.\n\nHuman: E aí?"),
    ],
)
def test_a_conversation_is_the_question(record: Record, tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_lines(tmp_path / "x", [record]))
    ((query,),) = rows(warehouse, "SELECT query FROM feedback_choices")
    assert query == "User: Oi?\n\nAssistant: Olá.\n\nUser: E aí?"


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ([label_studio("left"), label_studio("right", cancelled=True)], "no pairwise annotation, or cancelled"),
        ([argilla(BY_LABEL), argilla(submitted("response-1", "draft"))], "no submitted response"),
        ([argilla(BY_LABEL), argilla(submitted("response-1", "discarded"))], "no submitted response"),
        ([arena_vote("leftvote"), arena_thumb("chat")], "a log entry of the type chat, no vote"),
        ([langfuse(1, "BOOLEAN"), langfuse(0, "BOOLEAN", source="EVAL")], "a trace without scores that people gave"),
        ([open_webui(1), open_webui(None)], "nobody rated"),
        ([open_webui(1), open_webui(-1, snapshot=None)], "exported without the chat"),
        ([langfuse_score("like"), langfuse_score("like", trace=None)], "a score whose trace has no texts"),
        ([ULTRA, {**ULTRA, "completions": []}], "an instruction without answers"),
        ([battle("tie"), {"model_a": "x", "model_b": "y", "winner": "tie"}], "a battle without its conversations"),
    ],
)
def test_records_without_feedback_are_left_out_and_told(
    given: list[Record], left_out: str, tmp_path: Path, warehouse: Warehouse
) -> None:
    for place, records in enumerate((given, given[::-1])):
        report = read(warehouse, as_lines(tmp_path / f"x{place}", records))
        assert (report.quarantined, report.duplicates > 0) == ({}, place == 1)
        assert report.summary.skipped == {left_out: 1}
    assert f"1 left out: {left_out}" in report.summary.notes()


@pytest.mark.parametrize(
    ("given", "odd"),
    [
        (hh("a", "b"), {**hh("a", "b"), "rejected": "\n\nHuman: outra\n\nAssistant: b"}),
        (helpsteer3(1), {"response1": "a"}),
        (openai(), openai(preferred_output=[])),
        (battle("tie"), {**battle("tie"), "winner": "nobody"}),
        (label_studio("left"), label_studio("left", prompt="Oi?", um="a", dois="b")),
        (langfuse(1, "BOOLEAN"), langfuse("so so", "CATEGORICAL")),
        (open_webui(1), open_webui(-1, meta={"message_id": "gone"})),
        (argilla(BY_LABEL), argilla(submitted("neither"))),
        (trl(None, *WHOLE), trl(None, WHOLE[0], messages("outra", "direita"))),
        (trl("Oi?", "a", "b"), {"prompt": "Oi?", "chosen": "a"}),
        (trl("Oi?", "a", "b"), trl("Oi?", "a", messages("Oi?"))),
        (trl("Oi?", *WHOLE), trl(messages("antes?", "Sim.", "Oi?"), *WHOLE)),
        (trl("Oi?", "a", "b"), trl("Oi?", json.dumps(SIDES[0]), json.dumps(SIDES[1]))),
        (trl_kto(True), {**trl_kto(True), "label": "yes"}),
        (alpaca(chosen="a", rejected="b"), alpaca(chosen="a", rejected="b", history=[["Oi?", None]])),
        (alpaca(chosen="a", rejected="b"), alpaca(chosen="a", rejected="b", history=messages("Oi?", "Olá."))),
        (alpaca(output="a", kto_tag=True), alpaca(output="a", kto_tag=None)),
    ],
)
def test_a_record_unlike_the_others_is_refused_alone(
    given: Record, odd: Record, tmp_path: Path, warehouse: Warehouse
) -> None:
    path = as_lines(tmp_path / "x", [given, odd])
    report = read(warehouse, path)
    assert (report.rows, report.accepted, report.quarantined) == (2, 1, {"unknown_shape": 1})
    assert rows(warehouse, "SELECT position FROM feedback_quarantine") == [(2,)]


EVENT = {"feedback_id": "x1", "user_id": "ana", "timestamp": "2026-03-10T10:00:00Z", "metadata": {"a": 1}}


@pytest.mark.parametrize(
    "record", [trl("Oi?", "a", "b"), alpaca(chosen="a", rejected="b")], ids=["trl", "llama-factory"]
)
def test_what_a_preference_says_besides_goes_along(record: Record, tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_lines(tmp_path / "x", [{**record, **EVENT, "reason": "claro"}]))
    assert rows(warehouse, "SELECT user_id, occurred_at::VARCHAR, reason, metadata FROM feedback_choices") == [
        (PSEUDONYMS.of("ana"), "2026-03-10 10:00:00", "claro", '{"a":1}')
    ]


@pytest.mark.parametrize("record", [trl_kto(True), alpaca(output="a", kto_tag=True)], ids=["trl", "llama-factory"])
def test_what_a_label_says_besides_goes_along(record: Record, tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_lines(tmp_path / "x", [{**record, **EVENT, "rating": 2, "comment": "ruim"}]))
    assert rows(warehouse, "SELECT user_id, rating, score, comment FROM feedback") == [
        (PSEUDONYMS.of("ana"), 2, 0.25, "ruim")
    ]


def test_people_and_times_go_along(tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_lines(tmp_path / "x", [open_webui(1)]))
    read(warehouse, as_lines(tmp_path / "y", [label_studio("left")]))
    columns = "feedback_id, user_id, occurred_at::VARCHAR"
    assert rows(warehouse, f"SELECT {columns} FROM feedback") == [
        ("f1None", PSEUDONYMS.of("ana"), "2026-02-02 02:41:00")
    ]
    assert rows(warehouse, f"SELECT {columns} FROM feedback_comparisons") == [
        ("label-studio-leftFalse", PSEUDONYMS.of("7"), "2026-03-10 10:00:00")
    ]


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"query": "q", "response": "r", "rating": 5},
        {"query": "q", "response_left": "a", "response_right": "b", "verdict": "tie"},
        {"prompt": "p", "completion": "a", "score": 0.5},
        {"instruction": "p", "output": "a"},
        {"chosen": "a", "rejected": "b"},
        {"query": "q", "response_chosen": "x", "response_rejected": "y", "prompt": "p", "chosen": "a", "rejected": "b"},
        {"prompt": "p", "response_a": "a", "response_b": "b", "model_a": "x", "model_b": "y", "winner": "model_a"},
        {"data": {"rating": 5}, "query": "q"},
        {"input": "q", "output": "r", "rating": 4},
    ],
)
def test_what_is_none_of_them(record: Record) -> None:
    assert recognise_format(record) is None


@pytest.mark.parametrize("name", ["row", "parquet_rows", "rows", "t"])
def test_a_parquet_file_may_call_its_columns_as_it_likes(name: str, tmp_path: Path, warehouse: Warehouse) -> None:
    read(warehouse, as_parquet(tmp_path / "x", [{"query": "Oi?", "response": "Olá.", "rating": 5, name: "x"}]))
    assert rows(warehouse, "SELECT query, response, rating FROM feedback") == [("Oi?", "Olá.", 5)]


def test_each_sample_is_of_one_format() -> None:
    samples = [records[0] for _, records, _ in VOTES.values()] + [pairs[0][0] for _, pairs in COMPARISONS.values()]
    for sample in [*samples, *(record for _, record in PREFERENCES.values())]:
        assert sum(known.recognises(sample) for known in FORMATS) == 1


def test_a_mapping_means_that_the_file_is_no_known_format(tmp_path: Path, warehouse: Warehouse) -> None:
    path = as_lines(
        tmp_path / "x", [{"model_a": "x", "model_b": "y", "winner": "left", "q": "Oi?", "a": "1", "b": "2"}]
    )
    mapping = {"query": "q", "response_left": "a", "response_right": "b", "verdict": "winner"}
    with warehouse.open() as connection:
        report = Ingestor(connection, preparer()).file(FeedbackFile.recognise(path), mapping)
    assert report.accepted == 1


def test_the_scale_of_a_format_is_not_that_of_named_columns(tmp_path: Path, warehouse: Warehouse) -> None:
    path = as_parquet(tmp_path / "x", [{**HELPSTEER, "stars": 5}])
    with warehouse.open() as connection:
        mapping = {"query": "prompt", "rating": "stars"}
        report = import_file(Ingestor(connection, preparer()), FeedbackFile.recognise(path), mapping, None)
    assert (report.accepted, report.summary.records, report.summary.scale) == (1, None, "1-5")


def judgement(turn: int, winner: str, judge: str = "e1", model_b: str = "y") -> Record:
    """Of MT-bench: `question_id` is the question's, and `turn` says which of the answers was judged."""
    sides = {f"conversation_{side}": messages("Oi?", f"{side}1", "E?", f"{side}2") for side in "ab"}
    judged = {"question_id": 81, "model_a": "x", "model_b": model_b, "winner": winner, "judge": judge, "turn": turn}
    return {**judged, **sides}


def test_judgements_of_one_question_are_told_apart(tmp_path: Path, warehouse: Warehouse) -> None:
    given = [
        judgement(1, "model_a"),
        judgement(2, "model_b"),
        judgement(1, "model_a", judge="e2"),
        judgement(1, "model_a", model_b="z"),
    ]
    report = read(warehouse, as_lines(tmp_path / "x.jsonl", given))
    assert (report.accepted, report.rows) == (4, 4)
    stored = rows(warehouse, "SELECT response_left, verdict FROM feedback_comparisons ORDER BY ALL")
    assert stored == [("a1", "left"), ("a1", "left"), ("a1", "left"), ("a2", "right")]


@pytest.mark.parametrize("other", ["tema", "categoria", "idea", "rub"])
def test_a_word_is_no_third_answer(other: str) -> None:
    fields = {"prompt": "Oi?", "response1": "x", "response2": "y", other: "z"}
    assert [text for _, text in answers_of(fields)] == ["x", "y"]


def test_half_a_letter_costs_one_record(tmp_path: Path, warehouse: Warehouse) -> None:
    path = tmp_path / "x.jsonl"
    good, broken = json.dumps(hh("esquerda", "direita")), json.dumps(hh("esquerda", "direita \ud83d"))
    path.write_text(f"{good}\n{broken}\n", encoding="utf-8")
    report = read(warehouse, path)
    assert (report.accepted, report.quarantined) == (1, {"unknown_shape": 1})


@pytest.mark.parametrize("layout", ["lines", "a single line", "array"])
def test_records_with_a_list_in_them_are_no_wrapper(layout: str, tmp_path: Path, warehouse: Warehouse) -> None:
    given = [
        {"id": f"t{n}", "input": "Oi?", "output": f"r{n}", "scores": langfuse(True, "BOOLEAN", id=f"s{n}")["scores"]}
        for n in range(1 if layout == "a single line" else 2)
    ]
    write = as_array if layout == "array" else as_lines
    found = read(warehouse, write(tmp_path / "x.json", given))
    assert found.accepted == len(given)
    assert found.summary.first_rows[0]["response"] == "r0"
