"""Metadata and source documents: nobody's data in them, and JSON that every reader takes."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.feedback.ingestion.documents import MAYBE_CHANGED, DocumentMasker
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS

MASKER = DocumentMasker(PSEUDONYMS)
KEYS = st.sampled_from(["user_id", "ip", "e-mail", "name", "user", "note", "id", "[E-MAIL]", "ana@x.com"]) | st.text(
    max_size=4
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("ana@x.com 529.982.247-25"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def safe(value: Any, column: str = "metadata") -> Any:
    text, _ = MASKER.text(json.dumps(value, ensure_ascii=False), column)
    return None if text is None else json.loads(text, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ({"note": "ana@x.com, CPF 529.982.247-25"}, {"note": "[E-MAIL], CPF [CPF]"}),
        (
            {"email": "ana arroba x", "E-Mail": "x", "mail": "y"},
            {"email": "[E-MAIL]", "E-Mail": "[E-MAIL]", "mail": "[E-MAIL]"},
        ),
        ({"cpf": 52998224725}, {"cpf": "[CPF]"}),
        ({"phone": 11987654321, "Telefone": "9876"}, {"phone": "[TELEFONE]", "Telefone": "[TELEFONE]"}),
        (
            {"ip": "10.0.0.1", "ipAddress": "::1", "client-ip": 1},
            {"ip": "[IP]", "ipAddress": "[IP]", "client-ip": "[IP]"},
        ),
        ({"X-Forwarded-For": ["1.2.3.4", "10.0.0.1"]}, {"X-Forwarded-For": ["[IP]", "[IP]"]}),
        ({"name": "Ana", "nome_completo": "Ana Souza"}, {"name": "[NOME]", "nome_completo": "[NOME]"}),
        ({"user": {"name": "Ana", "plan": "pro"}}, {"user": {"name": "[NOME]", "plan": "pro"}}),
        ({"endereço_ip": "1.2.3.4"}, {"endereço_ip": "[IP]"}),
        ([{"a": [{"text": "zap 98765-4321"}]}], [{"a": [{"text": "zap [TELEFONE]"}]}]),
        ({"ana@x.com": 1, "bia@x.com": 2}, {"[E-MAIL]": 1, "[E-MAIL]'": 2}),
        ("ana@x.com", "[E-MAIL]"),
    ],
)
def test_personal_data_is_masked(value: Any, masked: Any) -> None:
    assert safe(value) == masked
    assert safe(masked) == masked


@pytest.mark.parametrize(
    "key", ["user_id", "userId", "User-ID", "session_id", "id_usuario", "uid", "customerId", "user"]
)
def test_ids_of_people_are_pseudonyms(key: str) -> None:
    assert safe({key: "ana"}) == {key: PSEUDONYMS.of("ana")}
    assert safe({"a": [{key: 7}]}) == {"a": [{key: PSEUDONYMS.of("7")}]}
    assert safe(safe({key: "ana"})) == safe({key: "ana"})


@pytest.mark.parametrize(
    "value",
    [
        {"model": {"name": "gpt", "id": "m1"}, "latency": 0.5, "version": "1.2.3.4"},
        {"email": None, "ip": "", "phone": True},
        {"zip": "x", "description": "y", "tips": ["1.2.3.4"], "filename": "manual.pdf"},
        {"lib": "react@18.2.0"},
        [1, 2.5, "texto", None],
    ],
)
def test_what_is_nobodys_stays(value: Any) -> None:
    assert safe(value) == value


def test_a_document_keeps_its_name() -> None:
    documents = [{"name": "manual.pdf", "title": "Guia", "owner_email": "x", "user": {"name": "Ana"}}]
    assert safe(documents, "source_documents") == [{**documents[0], "user": {"name": "[NOME]"}}]


def test_what_was_masked_is_counted_once() -> None:
    text, found = MASKER.text('{"ip": "1.2.3.4", "name": "Ana", "a": "a@b.com c@d.org"}', "metadata")
    assert found == (("email", 2), ("ip", 1), ("name", 1))
    assert text is not None
    assert MASKER.text(text, "metadata")[1] == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":NaN,"b":[nan,-Infinity,inf,1e999]}', {"a": None, "b": [None] * 4}),
        ('{"a":"NaN e inf","b":"\\"nan"}', {"a": "NaN e inf", "b": '"nan'}),
        ("nan", None),
        ("null", None),
        ('"nan"', "nan"),
        ("9" * 5_000, None),
        ("[[" * 50_000, "[[" * 50_000),
        ('{"a\\u0040x.com":"ana\\u0040x.com"}', {"[E-MAIL]": "[E-MAIL]"}),
    ],
)
def test_it_is_json_to_everybody(text: str, expected: Any) -> None:
    assert pc.match_substring_regex(pa.array([text]), MAYBE_CHANGED)[0].as_py() or text.startswith("[[")
    made, _ = MASKER.text(text, "metadata")
    assert (None if made is None else json.loads(made, parse_constant=pytest.fail)) == expected


@given(VALUES)
@settings(deadline=None)
def test_masking_twice_is_masking_once_and_the_quick_look_misses_nothing(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    once, found = MASKER.text(text, "metadata")
    if once is not None:
        assert MASKER.text(once, "metadata") == (once, ())
    if not pc.match_substring_regex(pa.array([text]), MAYBE_CHANGED)[0].as_py():
        assert (once, found) == (text, ())
