"""The garbage collector rests while libraries are loaded, and works afterwards."""

import subprocess
import sys

LOADING = """
import gc
from galileu_pipeline.loading import loading
try:
    with loading():
        assert not gc.isenabled()
        import decimal
        {then}
except ModuleNotFoundError:
    print("failed", end=" ")
print(gc.isenabled(), gc.get_freeze_count() > 1000)
"""


def outcome(then: str) -> list[str]:
    code = LOADING.format(then=then)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_what_was_imported_is_overlooked() -> None:
    assert outcome("pass") == ["True", "True"]


def test_after_an_import_that_fails_the_collector_works_again() -> None:
    assert outcome("import no_such_module") == ["failed", "True", "True"]
