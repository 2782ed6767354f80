"""Who gave feedback, without knowing who: identifiers of people are kept only as a keyed hash."""

import contextlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError

KEY_VARIABLE = "GALILEU_PSEUDONYM_KEY"
_KEY_BYTES = 32
_MIN_KEY_CHARS = 16
_PSEUDONYM = re.compile(r"person-[0-9a-f]{24}")
# What programs and spreadsheets write where there is no identifier, and names that all unknown people share.
_NOBODY = frozenset(
    {
        "anonymous",
        "anonymous user",
        "(anonymous)",
        "<anonymous>",
        "anonymous-user",
        "anonymous_user",
        "anon",
        "anônimo",
        "anônima",
        "anonimo",
        "anonima",
        "guest",
        "visitor",
        "visitante",
        "convidado",
        "convidada",
        "nobody",
        "ninguém",
        "sem nome",
        "não informado",
        "nao informado",
        "não identificado",
        "nao identificado",
        "anônimo(a)",
        "anonimo(a)",
        "00000000-0000-0000-0000-000000000000",
        "none",
        "(none)",
        "null",
        "nil",
        "nan",
        "nat",
        "undefined",
        "unknown",
        "desconhecido",
        "desconhecida",
        "n/a",
        "n/d",
        "nd",
        "#n/a",
        "#n/d",
        "#n/disp",
        "\\n",  # MySQL and PostgreSQL
        "(null)",
        "[null]",
        "(vazio)",
        "(blank)",
        "n.a.",
        "na",
        "<na>",
        "-",
        "--",
        "–",
        "—",
        "?",
        ".",
    }
)
# Three zeros may as well be the end of a thousand.
_WHOLE_NUMBER = re.compile(r"([0-9]+)[.,](?:0{1,2}|0{4,})")


@dataclass(frozen=True)
class Pseudonyms:
    """HMAC-SHA256 (RFC 2104) of identifiers. Without the key nobody can find out or test whose a pseudonym is.

    With another key the same person gets another pseudonym, so the key belongs to the data folder and to its backups.
    """

    key: bytes

    @classmethod
    def of_folder(cls, data: DataFolder) -> "Pseudonyms":
        """With the key in `GALILEU_PSEUDONYM_KEY`, or the folder's own one, which is made the first time.

        Raises:
            InputError: the key is shorter than 16 characters, or the folder's key cannot be read.
        """
        if given := os.environ.get(KEY_VARIABLE):
            if len(given) < _MIN_KEY_CHARS:
                raise InputError(f"{KEY_VARIABLE} has fewer than {_MIN_KEY_CHARS} characters; anybody could guess it.")
            return cls(given.encode())
        path = data.pseudonym_key
        if not path.exists():
            _create_key(data)
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is not readable as a key: {error}. Restore it from a backup.") from error
        if len(key) < _KEY_BYTES:
            raise InputError(f"{path} is cut short. Restore it from a backup: a new key would make new people of all.")
        return cls(key)

    def of(self, identifier: str) -> str:
        """`person-<24 hex digits>`; what is a pseudonym already stays as it is. Give it what `known` has passed."""
        return identifier if _PSEUDONYM.fullmatch(identifier) else _hash(self.key, identifier)

    def secret(self, purpose: str) -> str:
        """A secret of its own for another purpose, in hex."""
        return hmac.digest(self.key, f"purpose:{purpose}".encode(), "sha256").hex()


def known(identifier: str) -> str | None:
    """An identifier as everybody would write it, or None where it says that there is none.

    `7`, `7.0` and ` 7` are one: columns of numbers with a gap come out of spreadsheets and pandas as decimals.
    """
    bare = identifier.strip()
    if not bare or bare.casefold() in _NOBODY:
        return None
    whole = _WHOLE_NUMBER.fullmatch(bare)
    return whole.group(1) if whole else bare


@lru_cache(maxsize=65_536)
def _hash(key: bytes, identifier: str) -> str:
    digest = hmac.digest(key, f"person:{identifier}".encode("utf-8", "surrogatepass"), "sha256")
    return f"person-{digest.hex()[:24]}"


def _create_key(data: DataFolder) -> None:
    """Write the key under another name and link it in place, so that of several processes one wins for all."""
    path = data.pseudonym_key
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(temporary)
    finally:
        temporary.unlink()
