"""Personal identifiers out of texts, before anything is learnt from them.

Brazilian identifiers are found by `tarja`, with check digits and context; this module is all that knows it.
"""

import re
from collections import Counter
from functools import lru_cache

import tarja

# What each identifier becomes; no label contains what any pattern looks for. Addresses of machines and names cannot be
# told from versions and words by their shape: they are found by the key they stand under (documents.py).
LABELS = {
    "BR_CPF": "[CPF]",
    "BR_CNPJ": "[CNPJ]",
    "BR_TELEFONE": "[TELEFONE]",
    "BR_CEP": "[CEP]",
    "EMAIL": "[E-MAIL]",
    "IP": "[IP]",
    "NAME": "[NOME]",
}
KINDS = {
    "BR_CPF": "cpf",
    "BR_CNPJ": "cnpj",
    "BR_TELEFONE": "phone",
    "BR_CEP": "cep",
    "EMAIL": "email",
    "IP": "ip",
    "NAME": "name",
}

_BRAZILIAN = tuple(entity for entity in LABELS if entity.startswith("BR_"))
# What has an @ and is nobody's address is passed over whole: who logs in to a server (ssh://git@host, git@host:path),
# a version (react@18.2.0), an image for finer screens (icon@2x.png). A domain ends in letters: user@10.0.0.1 is none.
_EMAIL = re.compile(
    r"(?P<login>\b[a-z][a-z0-9+.-]{1,20}://[^\s/@?#]{1,200}@"
    r"|\bgit@[\w.-]{1,200}:(?=\S)|[\w.+-]{1,64}@[\w.-]{1,200}:(?:[/~]|[a-z][\w.-]{0,99}/))"
    r"|[\w.+%-]{1,64}@(?!v?\d+\.[\dx]|\dx\.)(?:[\w-]{1,63}\.){1,8}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})(?![^\W_])",
    re.IGNORECASE,
)
# In these shapes an identifier needs no word beside it to be one: tarja asks for context, or for the area code.
_BARE = (
    ("BR_CEP", re.compile(r"(?<![\w.-])\d{5}-\d{3}(?![\w-])")),
    ("BR_TELEFONE", re.compile(r"(?<![\w.-])9\d{4}-\d{4}(?![\w-])")),
)
# Whatever any of them finds has an @, eight digits close together, or the tail of an alphanumeric CNPJ. In RE2's
# syntax, so that Arrow can ask it of a whole column: a text without a match needs no masking.
MAYBE_PERSONAL = r"@|(?:\p{Nd}\P{Nd}{0,6}){7}\p{Nd}|[\s/.][0-9A-Za-z]{4}[-\s][0-9]{2}\b|\b[0-9A-Za-z]{12}[0-9]{2}\b"

_MAYBE_PERSONAL = re.compile(MAYBE_PERSONAL.replace(r"\p{Nd}", r"\d").replace(r"\P{Nd}", r"\D"))


def maybe_personal(text: str) -> bool:
    """False where `mask` would change nothing, told much faster."""
    return _MAYBE_PERSONAL.search(text) is not None


@lru_cache(maxsize=8_192)
def mask(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """`text` with a label in place of every CPF, CNPJ, telephone number, CEP and e-mail address.

    A number in the shape of a CPF or CNPJ is masked too when its check digits are wrong: most often somebody's,
    mistyped. Masking twice changes nothing.

    Returns:
        The text, and how many of each kind (`KINDS`) were masked.
    """
    addresses = _EMAIL.finditer(text) if "@" in text else ()
    spans = [(match.start(), match.end(), "EMAIL") for match in addresses if not match["login"]]
    spans += [
        (match.start, match.end, match.entity)
        for match in tarja.find(text, entities=_BRAZILIAN, report_invalid=True, max_chars=None)
        if match.valid_dv or not match.value.isalnum()  # eleven bare digits may be any number
    ]
    spans += [(match.start(), match.end(), entity) for entity, shape in _BARE for match in shape.finditer(text)]
    pieces, end, found = [], 0, Counter[str]()
    for start, stop, entity in sorted(spans, key=lambda span: (span[0], -span[1])):
        if start < end:
            continue
        pieces += [text[end:start], LABELS[entity]]
        found[KINDS[entity]] += 1
        end = stop
    return "".join([*pieces, text[end:]]), tuple(sorted(found.items()))
