"""What the package sets in the environment, and what it leaves alone."""

import json
import os
import subprocess
import sys

import pytest

from galileu_pipeline.environment import DEFAULTS, set_defaults

NOT_OF_THREADS = DEFAULTS.keys() - {"GOMP_SPINCOUNT"}


def test_telemetry_is_off_and_threads_do_not_spin_for_long() -> None:
    environment: dict[str, str] = {"HOME": "/home/ana"}
    set_defaults(environment)
    assert environment == {"HOME": "/home/ana", **DEFAULTS}
    assert environment["HF_HUB_DISABLE_TELEMETRY"] == environment["DO_NOT_TRACK"] == "1"
    assert environment["GOMP_SPINCOUNT"] == "10000"


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_what_the_user_has_set_stays(name: str) -> None:
    environment = {name: "the user's"}
    set_defaults(environment)
    assert environment == {**DEFAULTS, name: "the user's"}


@pytest.mark.parametrize("policy", ["PASSIVE", "passive", "ACTIVE"])
def test_with_a_wait_policy_the_spin_count_is_left_alone(policy: str) -> None:
    environment = {"OMP_WAIT_POLICY": policy}
    set_defaults(environment)
    assert environment["OMP_WAIT_POLICY"] == policy
    assert environment.keys() == {"OMP_WAIT_POLICY", *NOT_OF_THREADS}


def test_importing_the_package_sets_it_before_any_library_is_loaded() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import galileu_pipeline, json, os\n"
        "libraries = {name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names\n"
        "print(json.dumps([dict(os.environ), sorted(libraries)]))"
    )
    bare = {name: value for name, value in os.environ.items() if name not in {*DEFAULTS, "OMP_WAIT_POLICY"}}
    done = subprocess.run([sys.executable, "-c", code], env=bare, capture_output=True, text=True, check=True)
    environment, libraries = json.loads(done.stdout)
    assert environment.items() >= DEFAULTS.items()
    assert libraries == ["galileu_pipeline"]
