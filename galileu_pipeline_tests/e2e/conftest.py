"""Sandboxes for the tests that run the project's commands, one on which the demo has run, and a browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from galileu_pipeline_tests.e2e.sandbox import Sandbox, give_sample_feedback, make_sandbox

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These first, because they take longest: one worker runs the demo, the others begin with what does without it."""
    waiting = {item.path for item in items if "demonstrated" in getattr(item, "fixturenames", ())}
    waiting -= {HERE / "test_demo.py"}
    items.sort(key=lambda item: (HERE not in item.path.parents, item.path in waiting))


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """An empty one for each test."""
    return make_sandbox(tmp_path)


@pytest.fixture(scope="session")
def demonstrated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Sandbox:
    """A sandbox on which `galileu demo` has run, on the sample and Marta's feedback; tests only read it or add to it.

    The demo reached no other machine: `network` knows who tried. It runs once for all workers of pytest-xdist; each has
    a copy.
    """
    if worker_id == "master":
        return _demonstrate(tmp_path_factory.mktemp("demonstrated"))
    shared = tmp_path_factory.getbasetemp().parent / "demonstrated"
    with FileLock(f"{shared}.lock"):
        if not (shared / _DEMONSTRATED).is_file():
            _demonstrate(shared)
    own = make_sandbox(tmp_path_factory.mktemp("demonstrated") / "copy")
    shutil.copytree(shared, own.root)
    return own


_DEMONSTRATED = "demo.json"  # what the demo printed; there once it has run to its end


def _demonstrate(root: Path) -> Sandbox:
    box = make_sandbox(root)
    give_sample_feedback(box)
    done = box.galileu("demo", "--json", **box.network.environment)
    assert done.returncode == 0, done.stderr
    (box.root / "demo.log").write_text(done.stderr, encoding="utf-8")
    (box.root / _DEMONSTRATED).write_text(done.stdout, encoding="utf-8")
    return box


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """An installed Chromium."""
    from galileu_pipeline_tests.e2e.browser import BROWSER, playwright

    quiet = [
        "--force-prefers-reduced-motion",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
    ]
    with playwright.sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=BROWSER, args=quiet)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A window at a desktop, in Portuguese."""
    from galileu_pipeline_tests.e2e.browser import DESKTOP, PATIENCE_MS, playwright

    context = browser.new_context(viewport=DESKTOP, locale="pt-BR")
    context.set_default_timeout(PATIENCE_MS)
    playwright.expect.set_options(timeout=PATIENCE_MS)
    yield context.new_page()
    context.close()
