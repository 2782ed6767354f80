"""Personal identifiers out of texts, before anything is learnt from them.

Brazilian identifiers are found by `tarja`, with check digits and context; this module is all that knows it.
"""

import re
from collections import Counter
from functools import lru_cache

import tarja

# What each identifier becomes; no label contains what any pattern looks for.
LABELS = {
    "BR_CPF": "[CPF]",
    "BR_CNPJ": "[CNPJ]",
    "BR_TELEFONE": "[TELEFONE]",
    "BR_CEP": "[CEP]",
    "EMAIL": "[E-MAIL]",
}
KINDS = {"BR_CPF": "cpf", "BR_CNPJ": "cnpj", "BR_TELEFONE": "phone", "BR_CEP": "cep", "EMAIL": "email"}

_BRAZILIAN = tuple(entity for entity in LABELS if entity.startswith("BR_"))
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
# In these shapes an identifier needs no word beside it to be one: tarja asks for context, or for the area code.
_BARE = (
    ("BR_CEP", re.compile(r"(?<![\w.-])\d{5}-\d{3}(?![\w-])")),
    ("BR_TELEFONE", re.compile(r"(?<![\w.-])9\d{4}-\d{4}(?![\w-])")),
)
# Whatever any of them finds has an @, eight digits close together, or the tail of an alphanumeric CNPJ. In RE2's
# syntax, so that Arrow can ask it of a whole column: a text without a match needs no masking.
MAYBE_PERSONAL = r"@|(?:\p{Nd}\P{Nd}{0,6}){7}\p{Nd}|[\s/.][0-9A-Za-z]{4}[-\s][0-9]{2}\b|\b[0-9A-Za-z]{12}[0-9]{2}\b"


@lru_cache(maxsize=8_192)
def mask(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """`text` with a label in place of every CPF, CNPJ, telephone number, CEP and e-mail address.

    A number in the shape of a CPF or CNPJ is masked too when its check digits are wrong: most often somebody's,
    mistyped. Masking twice changes nothing.

    Returns:
        The text, and how many of each kind (cpf, cnpj, phone, cep, email) were masked.
    """
    spans = [(match.start(), match.end(), "EMAIL") for match in _EMAIL.finditer(text)]
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
