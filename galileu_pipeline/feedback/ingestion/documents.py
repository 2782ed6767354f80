"""JSON that came beside a text (metadata, source documents): without personal data, and such as every reader takes."""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.masking import KINDS, LABELS, MAYBE_PERSONAL, mask, maybe_personal

DOCUMENT_COLUMNS = ("source_documents", "metadata")

# What stands under these keys is somebody's, whatever its shape. Of keys only letters and digits count: "User-ID".
_LABELED_KEYS = {
    "EMAIL": "email mail emailaddress useremail enderecodeemail",
    "BR_CPF": "cpf usercpf cpfcnpj",
    "BR_TELEFONE": "phone phonenumber telephone mobile mobilephone userphone telefone celular whatsapp fone",
    "IP": "ip ips ipaddress ipaddr ipv4 ipv6 clientip userip remoteip remoteaddr xforwardedfor xrealip enderecoip",
    "NAME": "username fullname firstname lastname surname displayname nickname realname givenname familyname "
    "customername nomecompleto nomeusuario nomedousuario nomecliente nomedocliente sobrenome apelido",
}
_ENTITY_OF = {key: entity for entity, keys in _LABELED_KEYS.items() for key in keys.split()}
# Ids of people: hashed as the columns of these names are, so that they still tell people apart.
_ID_KEYS = (
    "userid userids uid user users usuario usuaria usuarios usuarioid idusuario idusuaria iddousuario sessionid "
    "idsessao sessaoid visitorid customerid clienteid idcliente personid pessoaid idpessoa accountid memberid "
    "subscriberid deviceid anonymousid raterid annotatorid voterid rater annotator voter"
)
# An object under these is a person: so its name and its id are somebody's. A document has a name too, and keeps it.
_PERSON_KEYS = (
    "user users usuario usuaria usuarios customer cliente person pessoa rater annotator voter member visitor account "
    "conta profile perfil contact contato"
)
_IDS, _PERSONS = frozenset(_ID_KEYS.split()), frozenset(_PERSON_KEYS.split())

# Whatever is changed has one of these: what may be personal in any text, a part of each key above, an escape that may
# hide either, or a number that is none in JSON. In RE2's syntax, so that Arrow can ask it of a whole column.
MAYBE_CHANGED = (
    rf"{MAYBE_PERSONAL}|\\u|^null$|[0-9]{{300}}|(?i:nan|inf|e\+?[0-9]{{3}}|mail|cpf|phone|fone|mobile|celular|whats|ip|"
    r"addr|forwarded|name|nome|apelido|uid|user|usu|session|sess|visitor|customer|client|person|pessoa|account|conta|member|"
    r"subscriber|device|anonymous|rater|annotator|voter|profile|perfil)"
)
_NOT_FINITE = re.compile(r'"(?:[^"\\]|\\.)*"|[-+]?(?:nan|inf(?:inity)?)', re.IGNORECASE)


def read_document(text: str) -> Any:
    """The value of JSON text; NaN, Infinity and numbers beyond them, which JSON has not, are null.

    Raises:
        ValueError: it is not JSON, or is nested too deeply.
    """
    finite = _NOT_FINITE.sub(lambda found: found[0] if found[0][0] == '"' else "null", text)
    try:
        return json.loads(
            finite, parse_int=lambda digits: _finite(digits, int), parse_float=lambda digits: _finite(digits, float)
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


class DocumentMasker:
    """Takes personal data out of JSON: in its texts as out of any text, and whatever stands under the usual keys."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms

    def text(self, text: str, column: str) -> tuple[str | None, tuple[tuple[str, int], ...]]:
        """The JSON text of a column (`DOCUMENT_COLUMNS`) made safe, None for null; and what was masked, by kind.

        What cannot be read as JSON is kept as one JSON string.
        """
        found: Counter[str] = Counter()
        try:
            value = self._value(read_document(text), _folded(column), found)
        except ValueError:
            value = self._value(text, "", found)
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")), tuple(
            sorted((+found).items())
        )

    def row(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row, whatever their types."""
        safe = {name: self._value(value, _folded(name), Counter()) for name, value in fields.items()}
        for name in DOCUMENT_COLUMNS:
            if isinstance(fields.get(name), str):
                safe[name] = self.text(fields[name], name)[0]
        return safe

    def _value(self, value: Any, key: str, found: Counter[str]) -> Any:
        """`value`, which stands under `key` (of an element of a list, the list's)."""
        if isinstance(value, dict):
            return self._object(value, key, found)
        if isinstance(value, list):
            return [self._value(element, key, found) for element in value]
        if isinstance(value, bool) or value in (None, ""):
            return value
        if entity := _ENTITY_OF.get(key):
            found[KINDS[entity]] += value != LABELS[entity]
            return LABELS[entity]
        if key in _IDS:
            return self._pseudonyms.of(str(value))
        return _masked(value, found) if isinstance(value, str) else value

    def _object(self, fields: Mapping[str, Any], key: str, found: Counter[str]) -> dict[str, Any]:
        safe: dict[str, Any] = {}
        for field, value in fields.items():
            name, inner = _masked(field, found), _folded(field)
            while name in safe:  # two addresses, each a key
                name += "'"
            if inner in ("name", "nome") and (key in _PERSONS or key == "metadata"):
                inner = "fullname"
            elif inner in ("id", "uuid") and key in _PERSONS:
                inner = "userid"
            safe[name] = self._value(value, inner, found)
        return safe


def _masked(text: str, found: Counter[str]) -> str:
    if not maybe_personal(text):
        return text
    safe, counts = mask(text)
    found.update(dict(counts))
    return safe


@lru_cache(maxsize=8_192)
def _folded(key: str) -> str:
    if key.startswith("["):  # a label
        return ""
    letters = unicodedata.normalize("NFKD", key).casefold()
    return "".join(sign for sign in letters if sign.isalnum())


def _finite(digits: str, kind: type[int] | type[float]) -> float | None:
    return kind(digits) if math.isfinite(float(digits)) else None
