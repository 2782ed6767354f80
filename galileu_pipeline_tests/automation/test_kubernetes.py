"""The pods of steps, as dagster-k8s makes them of a profile."""

import json
from typing import Any

import dagster as dg
import pytest
from dagster_k8s import k8s_job_executor
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job, get_user_defined_k8s_config

from galileu_pipeline.automation.kubernetes import CONFIG_TAG, make_executor, step_config
from galileu_pipeline.definitions import defs
from galileu_pipeline.profiles.automation import KubernetesSettings
from galileu_pipeline.profiles.names import active_profile_name
from galileu_pipeline.profiles.schema import load_profile

TRAINED = ("sft_model", "reward_model", "control_reward_model", "dpo_model", "ppo_model", "model_evaluation")


def pod(profile: str, asset: str, **cluster: Any) -> dict[str, Any]:
    """The specification of the pod that makes `asset`, as it is sent to the cluster."""
    settings = load_profile(profile).model_copy(update={"kubernetes": KubernetesSettings(**cluster)})
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="galileu:1", dagster_home="/opt/dagster"),
        args=["dagster", "api", "execute_step"],
        job_name="step",
        user_defined_k8s_config=get_user_defined_k8s_config({CONFIG_TAG: json.dumps(step_config(settings, asset))}),
    )
    found: dict[str, Any] = job.to_dict()["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("asset", TRAINED)
def test_on_the_16gb_profile_a_pod_asks_for_a_gpu(asset: str) -> None:
    found = pod("gpu-16gb", asset, node_selector={"gpu": "t4"})
    (container,) = found["containers"]
    assert container["resources"]["requests"] == {"cpu": "4", "memory": "24Gi", "nvidia.com/gpu": "1"}
    assert container["resources"]["limits"] == {"memory": "24Gi", "nvidia.com/gpu": "1"}
    assert found["node_selector"] == {"gpu": "t4"}
    assert [toleration["key"] for toleration in found["tolerations"]] == ["nvidia.com/gpu"]


@pytest.mark.parametrize(("profile", "asset"), [("gpu-16gb", "base_model"), *(("cpu", asset) for asset in TRAINED)])
def test_without_a_gpu_a_pod_may_run_anywhere(profile: str, asset: str) -> None:
    found = pod(profile, asset, node_selector={"gpu": "t4"})
    (container,) = found["containers"]
    needs = load_profile(profile).resources_of(asset)
    assert container["resources"]["limits"] == {"memory": f"{needs.memory_gb:g}Gi"}
    assert (found["node_selector"], found["tolerations"]) == (None, None)


def test_a_cluster_may_call_its_gpus_otherwise() -> None:
    (container,) = pod("gpu-40gb", "dpo_model", gpu="nvidia.com/mig-3g.40gb")["containers"]
    assert container["resources"]["limits"]["nvidia.com/mig-3g.40gb"] == "1"


@pytest.mark.parametrize("asset", ["base_model", *TRAINED])
def test_the_steps_carry_it(asset: str) -> None:
    step = defs.get_repository_def().assets_defs_by_key[dg.AssetKey(asset)].op
    assert json.loads(step.tags[CONFIG_TAG]) == step_config(load_profile(active_profile_name()), asset)


def test_the_profile_says_what_runs_the_steps() -> None:
    assert make_executor("in_process", KubernetesSettings()) is dg.in_process_executor
    executor = make_executor("kubernetes", KubernetesSettings(namespace="galileu", image="galileu:1"))
    assert executor.name == k8s_job_executor.name
