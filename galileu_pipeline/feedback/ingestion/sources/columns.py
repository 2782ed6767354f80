"""Which column of a file holds which field: names match without case and separators, `--map` says the others."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.ingestion.sources.formula_guards import GUARDED_COLUMNS
from galileu_pipeline.feedback.ingestion.sources.shapes import FIELD_NAMES
from galileu_pipeline.markdown import printable, shorten

MAX_NAME_CHARS = 60
_NOWHERE = "$[0]"  # an object has no such place: a column that `--map` gave to another field is not its own field too
# Names that other programs, and Brazilian forms, give to a field. They are proposed, never taken for granted.
_LIKELY = {
    "query": "question prompt pergunta input instruction userquery usermessage mensagem message texto questao",
    "response": "answer resposta output completion reply botresponse assistantresponse generation",
    "rating": "nota stars estrelas score avaliacao rate pontuacao value grade",
    "thumbs_up": "thumb thumbs like liked positive vote upvote joinha curtiu helpful isgood",
    "comment": "comentario comments feedbacktext observacao observacoes note text",
    "timestamp": "createdat created date datetime time data datahora criadoem updatedat quando tstamp ts",
    "user_id": "user usuario userid username uid annotator rater author autor email pessoa judge",
    "session_id": "session sessao conversationid chatid threadid conversation sessionid",
    "feedback_id": "id uuid messageid voteid ratingid",
    "response_chosen": "chosen preferred preferredoutput escolhida melhor winner",
    "response_rejected": "rejected nonpreferredoutput rejeitada pior loser",
    "response_left": "responsea answera outputa esquerda left",
    "response_right": "responseb answerb outputb direita right",
    "model_left": "modela",
    "model_right": "modelb",
    "verdict": "winner preference preferencia veredito choice",
    "reason": "motivo justification rationale explanation",
    "metadata": "meta extra tags",
    "source_documents": "sources documents context contexts fontes documentos",
}
_THUMBS_DOWN = frozenset({"thumbsdown", "thumbdown", "downvote", "downvotes", "dislike", "dislikes", "disliked"})
_FIELDS_BY_LIKELY_NAME: dict[str, list[str]] = {}
for _field, _names in _LIKELY.items():
    for _name in _names.split():
        _FIELDS_BY_LIKELY_NAME.setdefault(_name, []).append(_field)


def folded(name: str) -> str:
    """`name` without case, separators and outer signs: `userId`, `User ID` and `user_id` are one name."""
    return re.sub(r"[\W_]+", "", name).casefold()


_FIELDS_BY_FOLDED = {folded(name): name for name in FIELD_NAMES}


@dataclass
class ColumnUse:
    """What is known of a file's columns after some of its rows: which are read as what, and which are not.

    by_row: whether each row has names of its own, as in JSON. Then another spelling is read where a row lacks the one
        in `used`.
    used: for each field, the name of its column.
    unused: columns that no field takes, each with the field it likely is, in the order in which they came.
    """

    mapping: Mapping[str, str]
    by_row: bool = False
    used: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str | None] = field(default_factory=dict)
    _seen: dict[str, None] = field(default_factory=dict)
    _inner_found: set[str] = field(default_factory=set)
    _read: set[str] = field(default_factory=set)
    _spellings: dict[str, list[str]] = field(default_factory=dict)
    _ignored: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.mapping) - set(FIELD_NAMES)):
            raise InputError(f"There is no field {shown_column(unknown[0])}; the fields are {', '.join(FIELD_NAMES)}.")

    def see(self, names: Iterable[str]) -> None:
        """Take note of columns that the file has.

        Raises:
            InputError: several of them could be the same field.
        """
        new = [name for name in names if name not in self._seen]
        if new:
            self._seen |= dict.fromkeys(new)
            self._resolve()

    def see_table(self, table: "ColumnUse", read: Iterable[str]) -> None:
        """Take note of one of the file's tables and of the columns `read` of it.

        Another one may call a field otherwise.
        """
        self._seen |= table._seen
        self.used = table.used | self.used
        self._read |= set(read)
        self.unused = {name: likely for name, likely in (self.unused | table.unused).items() if name not in self._read}

    def see_inner(self, target: str, rows: int) -> None:
        """Take note of how many rows have the place within a column that `inner_paths` gave for a field."""
        if rows:
            self._inner_found.add(target)

    def may_unify(self, names: Iterable[str]) -> bool:
        """Whether rows with these names may have a field under another spelling than the one in `used`."""
        return not {spelling for spellings in self._spellings.values() for spelling in spellings}.isdisjoint(names)

    def unified(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """A row under the names in `used`; None if it has no other spelling of them.

        Raises:
            InputError: it has several spellings of a field, and none of them is the exact one.
        """
        unified = dict(row)
        for target, spellings in self._spellings.items():
            name = self.used[target]
            present = [spelling for spelling in (name, *spellings) if row.get(spelling) not in (None, "")]
            if present and present[0] == name == self.mapping.get(target, target):
                if not self._ignored.issuperset(present[1:]):
                    self._ignored.update(present[1:])
                    self._resolve()
            elif len(present) > 1:
                raise _ambiguous(target, *present[:2])
            elif present and present[0] != name:
                unified[name] = unified.pop(present[0])
        return unified if unified != row else None

    def inner_paths(self) -> list[tuple[str, str]]:
        """Fields that stand within a column, and were in no row so far, with the JSON path of their place."""
        return [
            (target, json_path(steps))
            for target, name in self.used.items()
            if target not in self._inner_found and len(steps := self._steps(name)) > 1
        ]

    def require_mapped(self) -> None:
        """Once all rows were seen: every name that `--map` gave must have been there.

        Raises:
            InputError: one was not; says which names there are.
        """
        missing = [target for target in self.mapping if target not in self.used]
        missing += [target for target, _ in self.inner_paths()]
        if missing and self._seen:
            target = missing[0]
            raise InputError(
                f"--map {target}={shown_column(self.mapping[target])}: there is no such column. There are: "
                f"{listed(self._seen)}."
            )

    def require_one_thumb(self) -> None:
        """Thumbs up and down in two columns: a row that has neither would be a thumb down.

        Raises:
            InputError: there are two, and `--map` does not say which one is meant.
        """
        down = next((name for name in self.unused if folded(name) in _THUMBS_DOWN), None)
        if down and "thumbs_up" in self.used and "thumbs_up" not in self.mapping:
            raise InputError(
                f"{shown_column(self.used['thumbs_up'])} and {shown_column(down)} are two columns, so a row with "
                "neither would be a thumb down. Make one column of them, empty where there is no thumb, or say --map "
                f"thumbs_up={shown_column(self.used['thumbs_up'])} if it is empty there."
            )

    def json_paths(self) -> dict[str, str]:
        """For fields that do not stand under their own name, the JSON path of where they stand."""
        elsewhere = {name: _NOWHERE for name in self._seen if name in FIELD_NAMES and name not in self.used}
        found = {target: json_path(self._steps(name)) for target, name in self.used.items() if name != target}
        return elsewhere | found

    def fields_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a row, with their values as they came."""
        values = {target: _value(record, self._steps(name)) for target, name in self.used.items()}
        return {target: value for target, value in values.items() if value is not None}

    def _resolve(self) -> None:
        self.used, self._spellings, taken = {}, {}, set()
        for target, name in self.mapping.items():
            if column := self._column(name):
                self.used[target] = column
                taken.add(self._steps(column)[0])
                if self.by_row and column in self._seen:
                    alike = [other for other in self._seen if other != column and folded(other) == folded(column)]
                    self._spellings[target] = alike
        for column in self._seen:
            own = _FIELDS_BY_FOLDED.get(folded(column))
            if own is None or own in self.mapping or column in taken:
                continue
            if self.by_row and column != own and (own in self.used or (own in self._seen and own not in taken)):
                self._spellings.setdefault(own, []).append(column)
                continue
            if own in self._seen and column != own:
                continue  # the exact name wins
            if own in self.used:
                raise _ambiguous(own, self.used[own], column)
            self.used[own] = column
            taken.add(column)
        for spellings in self._spellings.values():
            taken.update(set(spellings) - self._ignored)
        left = [column for column in self._seen if column not in taken and column not in ("", GUARDED_COLUMNS)]
        self.unused = {column: self._likely(column) for column in left}

    def _column(self, name: str) -> str | None:
        """The column of that name, or the place within one: `data.rating`."""
        if name in self._seen:
            return name
        alike = [column for column in self._seen if folded(column) == folded(name)]
        if alike:
            return alike[0]
        first, dot, rest = name.partition(".")
        return f"{outer}.{rest}" if dot and (outer := self._column(first)) else None

    def _steps(self, name: str) -> Sequence[str]:
        return [name] if name in self._seen else [name.split(".")[0], *name.split(".")[1:]]

    def _likely(self, column: str) -> str | None:
        """The field that a column's name speaks of, unless another column is that field."""
        candidates = _FIELDS_BY_LIKELY_NAME.get(folded(column), [])
        return next((target for target in candidates if target not in self.used), None)


def _ambiguous(target: str, one: str, other: str) -> InputError:
    return InputError(
        f"the columns {shown_column(one)} and {shown_column(other)} could both be {target}; say which one is: "
        f"--map {target}=NAME"
    )


def json_path(steps: Sequence[str]) -> str:
    """DuckDB's JSON path: names in quotation marks; behind the column's own name, numbers as places in a list."""
    column, *inner = steps
    return f"$.{_quoted(column)}" + "".join(f"[{step}]" if _is_place(step) else f".{_quoted(step)}" for step in inner)


def _is_place(step: str) -> bool:
    return step.isascii() and step.isdigit()


def _value(record: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        if isinstance(record, Mapping):
            record = record.get(step)
        elif isinstance(record, list) and _is_place(step):
            record = record[int(step)] if int(step) < len(record) else None
        else:
            return None
    return record


def shown_column(name: str) -> str:
    """A column's name for people: short, without what cannot be seen."""
    return shorten(printable(name).strip(), MAX_NAME_CHARS)


def listed(names: Iterable[str], most: int = 20) -> str:
    """Columns' names for people."""
    all_names = [shown_column(name) for name in names if name]
    more = f" and {len(all_names) - most} more" if len(all_names) > most else ""
    return (", ".join(all_names[:most]) or "none") + more


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
