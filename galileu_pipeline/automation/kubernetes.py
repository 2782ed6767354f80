"""What Kubernetes gives each step, and what runs the steps there: from the profile into what dagster-k8s reads."""

from typing import Any

import dagster as dg

from galileu_pipeline.errors import SettingsError
from galileu_pipeline.profiles.automation import Executor, KubernetesSettings
from galileu_pipeline.profiles.names import active_profile_name
from galileu_pipeline.profiles.schema import Profile, load_profile

CONFIG_TAG = "dagster-k8s/config"


def step_tags(asset: str) -> dict[str, Any]:
    """The tags of the step that makes `asset` under the active profile. Only dagster-k8s reads them."""
    return {CONFIG_TAG: step_config(load_profile(active_profile_name()), asset)}


def step_config(profile: Profile, asset: str) -> dict[str, Any]:
    """Requests and limits of the container that makes `asset`, and of a GPU also where its pod may run."""
    needs, cluster = profile.resources_of(asset), profile.kubernetes
    memory = f"{needs.memory_gb:g}Gi"
    gpus = {cluster.gpu: str(needs.gpus)} if needs.gpus else {}
    config: dict[str, Any] = {
        "container_config": {
            "resources": {
                "requests": {"cpu": str(needs.cpus), "memory": memory, **gpus},
                "limits": {"memory": memory, **gpus},
            }
        }
    }
    if gpus:
        config["pod_spec_config"] = {"node_selector": cluster.node_selector, "tolerations": cluster.tolerations}
    return config


def make_executor(executor: Executor, cluster: KubernetesSettings) -> dg.ExecutorDefinition:
    """What runs the steps of a run: its own process, or a pod for each.

    Raises:
        SettingsError: dagster-k8s is needed and not installed.
    """
    if executor == "in_process":
        # A stage runs in a process of its own anyway; the steps around it are light.
        return dg.in_process_executor
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError as error:
        raise SettingsError(
            "automation.executor is kubernetes, but dagster-k8s is not installed: pip install -c constraints.txt -e "
            '".[kubernetes]".'
        ) from error
    pods = cluster.model_dump(include={"namespace", "image", "env_vars", "volumes", "volume_mounts"}, exclude_none=True)
    return k8s_job_executor.configured({name: value for name, value in pods.items() if value})
