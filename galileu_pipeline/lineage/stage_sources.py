"""The sources that decide what a stage makes, and their fingerprint. Read as text: nothing is imported.

From the modules that a stage names in `stage_versions.yaml` one goes along the imports inside the package, and to each
file that a module names in a text: a statement of SQL, a corpus, a table. What only keeps, hands over or tells of
results is left out (`_PLUMBING`), and so is what is behind an artifact: a stage's inputs are in its id by themselves.
"""

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import yaml

from galileu_pipeline.lineage.digests import PACKAGE, files_digest, json_digest
from galileu_pipeline.lineage.stage_versions import StageEntry, read_entries

# Whatever changes here, what a stage learns or counts stays as it is.
_PLUMBING = (
    "lineage/",
    "profiles/",
    "data_folder.py",
    "disk.py",
    "environment.py",
    "errors.py",
    "files.py",
    "process.py",
    "supervision.py",
)
_HEADER = """\
# What decides a stage's results besides inputs, settings and seed; see stage_versions.py.
# Written by scripts/stage_versions.py; what a stage is (`libraries`, `entries`) is written by hand.
"""


def fingerprint(entry: StageEntry, package: Path = PACKAGE) -> str:
    """16 hex digits over the sources of a stage."""
    sources = {name: _text(package / name) for name in source_files(entry, package)}
    for part in entry.entries:
        module, _, function = part.partition(":")
        if function:
            sources[part] = _function(_text(package / module), function)
    return files_digest({name: json_digest(text) for name, text in sources.items()})[:16]


def source_files(entry: StageEntry, package: Path = PACKAGE) -> list[str]:
    """The files that a stage depends on as a whole, by their paths below the package."""
    found: set[str] = set()
    queue = [name for name in entry.entries if ":" not in name]
    while queue:
        name = queue.pop()
        if name in found or name.startswith(_PLUMBING):
            continue
        found.add(name)
        if name.endswith(".py"):
            tree = _parsed(_text(package / name))
            queue += [file for module in _imports(tree) for file in _files_of(module, package)]
            queue += [file for text in _texts(tree) for file in _named(text, package / name, package)]
    return sorted(found)


def imported_packages(entry: StageEntry, package: Path = PACKAGE) -> set[str]:
    """The names under which those files import packages of others, and the standard library's."""
    modules = [name for name in source_files(entry, package) if name.endswith(".py")]
    return {name.partition(".")[0] for module in modules for name in _imports(_parsed(_text(package / module)))}


def changed_stages(versions: Path, package: Path = PACKAGE) -> list[str]:
    """The stages whose sources are others than `versions` (a `stage_versions.yaml`) says."""
    entries = read_entries(versions)
    return [stage for stage, entry in entries.items() if fingerprint(entry, package) != entry.sources]


def mark_same_results(versions: Path, stages: list[str], package: Path = PACKAGE) -> None:
    """Write down that the sources of `stages`, as they are now, lead to the same results as before."""
    _rewrite(versions, stages, lambda entry: entry.model_copy(update={"sources": fingerprint(entry, package)}))


def raise_version(versions: Path, stages: list[str], package: Path = PACKAGE) -> None:
    """Write down that the sources of `stages`, as they are now, lead to other results than before."""
    mark_same_results(versions, stages, package)
    _rewrite(versions, stages, lambda entry: entry.model_copy(update={"version": entry.version + 1}))


def _rewrite(versions: Path, stages: list[str], change: Callable[[StageEntry], StageEntry]) -> None:
    entries = read_entries(versions)
    entries |= {stage: change(entries[stage]) for stage in stages}
    content = {stage: entry.model_dump() for stage, entry in entries.items()}
    text = yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)
    versions.write_text(_HEADER + text, encoding="utf-8")


def _imports(tree: ast.Module) -> Iterator[str]:
    """Each module that is imported, or may be one: in `from package import name`, both."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _texts(tree: ast.Module) -> Iterator[str]:
    """Each text that may name a file; what is put into one is a `*`: f"pair_{strategy}" is "pair_*"."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (str(part.value) if isinstance(part, ast.Constant) else "*" for part in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def _files_of(module: str, package: Path) -> list[str]:
    first, *rest = module.split(".")
    if first != PACKAGE.name or not rest:
        return []
    place = "/".join(rest)
    return [name for name in (f"{place}.py", f"{place}/__init__.py") if (package / name).is_file()]


def _named(text: str, module: Path, package: Path) -> Iterator[str]:
    """The statement (as `feedback.statements.sql` is told, or alone) or the file beside `module` that a text names."""
    folder, _, name = text.rpartition("/")
    # A lone "*" says nothing: there the name itself is a text of the module.
    if not name or name.startswith("*") or not set(text) <= _IN_NAMES:
        return
    homes = [(package / "feedback" / folder / "sql", f"{name}.sql"), (module.parent / "sql", f"{name}.sql")]
    if name.endswith((".txt", ".yaml")):
        homes.append((module.parent, name))
    for home, pattern in homes:
        found = home.glob(pattern) if "*" in pattern else [home / pattern]
        yield from (path.relative_to(package).as_posix() for path in found if path.is_file())


_IN_NAMES = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-./*")


def _function(text: str, name: str) -> str:
    """The text of a function, and of the private ones of its module that it calls, as it stands there."""
    defined = {node.name: node for node in _parsed(text).body if isinstance(node, ast.FunctionDef)}
    used, queue = {name}, [name]
    while queue:
        called = {node.id for node in ast.walk(defined[queue.pop()]) if isinstance(node, ast.Name)}
        new = (called & defined.keys()) - used
        used |= new
        queue += new
    return "\n".join(ast.get_source_segment(text, defined[part]) or "" for part in defined if part in used)


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
