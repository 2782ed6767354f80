"""Who may import whom."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import galileu_pipeline

PACKAGE = Path(galileu_pipeline.__file__).parent
KNOW_NOTHING_OF_DAGSTER = ("feedback", "training", "evaluation", "lineage", "profiles", "chat")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_lower_layers_know_nothing_of_dagster() -> None:
    for layer in KNOW_NOTHING_OF_DAGSTER:
        for path in (PACKAGE / layer).rglob("*.py"):
            assert not {name.split(".")[0] for name in imports(path)} & {"dagster", "dagster_pipes"}, path


def test_the_lower_layers_know_nothing_of_the_upper_ones() -> None:
    upper = ("galileu_pipeline.assets", "galileu_pipeline.automation", "galileu_pipeline.resources")
    for layer in KNOW_NOTHING_OF_DAGSTER:
        for path in (PACKAGE / layer).rglob("*.py"):
            assert not [name for name in imports(path) if name.startswith(upper)], path


def test_only_the_definitions_import_assets() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name != "definitions.py" and path.parent.name != "assets":
            assert not [name for name in imports(path) if name.startswith("galileu_pipeline.assets")], path


def test_the_orchestrator_imports_nothing_heavy() -> None:
    code = (
        "import sys, galileu_pipeline.definitions, galileu_pipeline.cli;"
        "heavy = ('torch', 'transformers', 'trl', 'datasets', 'matplotlib', 'scipy.stats');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_connections_to_duckdb_are_made_in_one_place() -> None:
    """In UTC: see database.py."""
    for path in PACKAGE.rglob("*.py"):
        if path != PACKAGE / "database.py":
            assert "duckdb.connect" not in path.read_text(encoding="utf-8"), path
