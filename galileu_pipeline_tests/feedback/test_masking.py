"""Personal data out of texts, and people as keyed hashes."""

import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.cleaning import UNDAMAGED, TextCleaner, visible
from galileu_pipeline.feedback.ingestion.masking import MAYBE_PERSONAL, mask, maybe_personal

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
NEARLY_PERSONAL = st.text(st.sampled_from("0123456789.-/() @abAB９Ã"), max_size=40)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("CPF 529.982.247-25", "CPF [CPF]"),
        ("meu cpf é 52998224725", "meu cpf é [CPF]"),
        ("111.444.777-36", "[CPF]"),  # wrong check digits: somebody's, mistyped
        ("CNPJ 11.222.333/0001-81", "CNPJ [CNPJ]"),
        ("12.ABC.345/01DE-35", "[CNPJ]"),  # alphanumeric, as of July 2026
        ("ligue (11) 98765-4321 ou +55 11 3456-7890", "ligue [TELEFONE] ou [TELEFONE]"),
        ("zap 98765-4321", "zap [TELEFONE]"),
        ("CEP 01310-100 e 01310-100", "CEP [CEP] e [CEP]"),
        ("ana.maria+x@mail.example.com.br!", "[E-MAIL]!"),
        ("cpf: ５２９.982.247-25", "cpf: [CPF]"),
        ("<ana@163.com>; b@x.org/c@y.net", "<[E-MAIL]>; [E-MAIL]/[E-MAIL]"),
        ("mailto:ana@x.com?subject=oi", "mailto:[E-MAIL]?subject=oi"),
        ("**ana@x.com** ou ana@x.com:oi", "**[E-MAIL]** ou [E-MAIL]:oi"),
        ("josé@açúcar.com.br, ANA@3M.COM", "[E-MAIL], [E-MAIL]"),
        ("git@github.com:org/repo é de ana@x.com", "git@github.com:org/repo é de [E-MAIL]"),
        ("https://x.com?e=ana@x.com", "https://x.com?e=[E-MAIL]"),
        ("ana@x.com:24/11 às 10h", "[E-MAIL]:24/11 às 10h"),
    ],
)
def test_identifiers_are_masked(text: str, masked: str) -> None:
    assert mask(text)[0] == masked
    assert mask(masked)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "Galileu viveu de 15/02/1564 a 08/01/1642.",
        "A Lua está a 384.400 km; o Sol, a 149.597.870 km.",
        "1609-1610, 2026-11-24 10:00:00",
        "149597870700 metros",
        "ISBN 978-85-359-0277-5",
        "@galileu escreveu a.b",
        "react@18.2.0",
        "@angular/core@17.0.1-rc.0 e lodash@4.17.21-alpha.beta",
        "actions/checkout@v4.1",
        "node@20.x",
        "git@github.com:org/repo",
        "git@gitlab.com:grupo/projeto.git",
        "ssh://git@github.com/org/repo",
        "postgres://u:senha@db.example.com:5432/app",
        "rsync ana@servidor.com.br:/var/www",
        "user@10.0.0.1",
        "user@10.0.0.1:/srv",
        "root@localhost",
        "icon@2x.png",
        "A@B.T",
    ],
)
def test_what_is_nobodys_stays(text: str) -> None:
    assert mask(text) == (text, ())


def test_what_was_masked_is_counted() -> None:
    assert mask("a@b.com, c@d.org, CEP 01310-100")[1] == (("cep", 1), ("email", 2))


@settings(deadline=None)
@given(st.one_of(TEXT, NEARLY_PERSONAL))
def test_what_the_quick_look_passes_over_needs_no_masking(text: str) -> None:
    found = pc.match_substring_regex(pa.array([text]), MAYBE_PERSONAL)[0].as_py()
    assert maybe_personal(text) == found
    if not found:
        assert mask(text) == (text, ())


@settings(deadline=None)
@given(st.one_of(TEXT, st.text(st.sampled_from("ÀÁÃÂÇÉÕàáâãçéêôü aZ!\n©’“–…•°ºª²"), max_size=12)))
def test_what_the_quick_look_calls_undamaged_needs_no_repair(text: str) -> None:
    undamaged = pc.match_substring_regex(pa.array([text]), UNDAMAGED)[0].as_py()
    if undamaged:
        assert TextCleaner().text(text) == pc.utf8_rtrim_whitespace(pa.array([text]))[0].as_py()
        assert visible(text) == pc.utf8_trim_whitespace(pa.array([text]))[0].as_py()


@settings(deadline=None)
@given(TEXT)
def test_masking_twice_is_masking_once(text: str) -> None:
    once, _ = mask(text)
    assert mask(once)[0] == once


def test_a_pseudonym_hangs_on_person_and_key() -> None:
    one, other = Pseudonyms(b"1" * 32), Pseudonyms(b"2" * 32)
    assert one.of("ana") == one.of("ana") == one.of(one.of("ana"))
    assert len({one.of("ana"), one.of("bia"), other.of("ana")}) == 3
    assert one.secret("a") != one.secret("b")


def test_the_folders_key_is_made_once_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALILEU_PSEUDONYM_KEY", raising=False)
    data = DataFolder(tmp_path / "data")
    assert Pseudonyms.of_folder(data).of("ana") == Pseudonyms.of_folder(data).of("ana")
    assert stat.S_IMODE(data.pseudonym_key.stat().st_mode) == 0o600
    assert [path.name for path in data.root.iterdir()] == ["pseudonym.key"]
    data.pseudonym_key.write_text("cafe")
    with pytest.raises(InputError, match="cut short"):
        Pseudonyms.of_folder(data)
    monkeypatch.setenv("GALILEU_PSEUDONYM_KEY", "short")
    with pytest.raises(InputError, match="anybody could guess"):
        Pseudonyms.of_folder(data)


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GALILEU_PSEUDONYM_KEY", raising=False)
    code = (
        "import sys, pathlib; from galileu_pipeline.data_folder import DataFolder;"
        "from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms;"
        "print(Pseudonyms.of_folder(DataFolder(pathlib.Path(sys.argv[1]))).of('ana'))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    assert len({process.communicate()[0] for process in processes}) == 1
