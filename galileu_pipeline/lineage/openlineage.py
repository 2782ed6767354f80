"""The lineage as events of the OpenLineage standard, for catalogues such as Marquez or DataHub.

Each artifact is told as one finished run of the job that has its asset's name. A dataset there has the asset's name
too, and the artifact is one version of it, so that a catalogue shows one graph however often it is made anew. Texts,
settings and paths stay here: events carry names, digests, counts and figures.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from attr import define
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    dataset_version_dataset,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    source_code_location_job,
)
from openlineage.client.serde import Serde
from openlineage.client.transport.console import ConsoleTransport
from openlineage.client.transport.noop import NoopTransport

from galileu_pipeline import __version__
from galileu_pipeline.errors import GalileuError, SettingsError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.graph import Graph
from galileu_pipeline.lineage.manifest import ArtifactRef, CodeInfo, Manifest

JOB_NAMESPACE = "galileu"
_PRODUCER = f"urn:galileu-pipeline:{__version__}"
# Metrics that are counts of a dataset's rows, first of all its splits.
_ROWS = (("train", "validation", "test"), ("accepted",))


@define
class ArtifactDatasetFacet(DatasetFacet):
    """Which artifact a version of a dataset is."""

    artifact: str


@define
class RecordRunFacet(RunFacet):
    """What a manifest records and no standard facet has a field for. `metrics` are a model's, flat."""

    artifact: str
    seed: int | None
    code: str
    dirty: bool | None
    metrics: dict[str, float]


def run_events(store: ArtifactStore, artifact_id: str | None = None, *, namespace: str | None = None) -> list[RunEvent]:
    """An event for an artifact and each it was made from, or for every artifact; the oldest first.

    The same manifests give the same events, so a catalogue that has them already learns nothing new.

    Args:
        namespace: of the datasets; `file:` and the data folder if it is None.

    Raises:
        MissingArtifactError: there is no artifact of that id.
        GalileuError: a manifest of those cannot be read.
    """
    set_producer(_PRODUCER)
    graph = Graph.read(store)
    ids = graph.nodes if artifact_id is None else [store.load(artifact_id).id, *graph.ancestors(artifact_id)]
    artifacts = [artifact for found in ids if (artifact := store.find(found))]  # others are named, but gone
    place = namespace or f"file:{store.data.root.as_posix()}"
    return [_event(store, artifact.manifest, place) for artifact in _oldest_first(artifacts)]


def as_lines(events: Iterable[RunEvent]) -> str:
    """JSON, a line an event, as the client sends them."""
    return "".join(f"{Serde.to_json(event)}\n" for event in events)


def emit(events: Sequence[RunEvent]) -> str:
    """Send events where OpenLineage's own settings say: OPENLINEAGE_URL, OPENLINEAGE__TRANSPORT__*, openlineage.yml.

    Returns:
        The kind of transport, such as `http`.

    Raises:
        SettingsError: nothing says where, or something says that nothing is to be sent.
        GalileuError: they could not be sent, or not all.
    """
    client = _client()
    kind = str(client.transport.kind)
    for number, event in enumerate(events):
        try:
            client.emit(event)
        except Exception as error:  # each transport has errors of its own; their texts may hold an address's password
            raise GalileuError(
                f"OpenLineage's {kind} transport took {number} of {len(events)} events and failed at the next "
                f"({type(error).__name__}). See that the address, the key and the receiver are right, and send all "
                "again; what a receiver knows does no harm."
            ) from None
    if not client.close():
        raise GalileuError(
            f"OpenLineage's {kind} transport did not get rid of all {len(events)} events. Send them again."
        )
    return kind


def _client() -> OpenLineageClient:
    # It would warn that it prints to the console; OPENLINEAGE_CLIENT_LOGGING still has it talk.
    logging.getLogger("openlineage.client").setLevel(logging.ERROR)
    try:
        client = OpenLineageClient()
        configured = bool((client.config.transport or {}).get("type"))
    except Exception as error:  # whatever is wrong there; its text may hold a key
        raise SettingsError(
            f"OpenLineage's settings cannot be used ({type(error).__name__}). Look at the environment variables "
            "OPENLINEAGE_URL, OPENLINEAGE_API_KEY and OPENLINEAGE__*, and at openlineage.yml."
        ) from None
    if isinstance(client.transport, NoopTransport):
        raise SettingsError(
            "OPENLINEAGE_DISABLED, or a transport of that kind, says that nothing is to be sent. Unset it."
        )
    if isinstance(client.transport, ConsoleTransport) and not configured:  # what the client falls back on
        raise SettingsError(
            "Nothing says where to send: set OPENLINEAGE_URL, or another transport in OPENLINEAGE__TRANSPORT__* or "
            "openlineage.yml. Or write a file: --output lineage.jsonl."
        )
    return client


def _oldest_first(artifacts: Iterable[Artifact]) -> list[Artifact]:
    """Of the same second, each after what it was made from."""
    by_id = {artifact.id: artifact for artifact in sorted(artifacts, key=lambda artifact: artifact.id)}
    inputs = {name: [ref.id for ref in artifact.manifest.inputs] for name, artifact in by_id.items()}
    order = [by_id[name] for name in TopologicalSorter(inputs).static_order() if name in by_id]
    return sorted(order, key=lambda artifact: artifact.manifest.created_at)


def _event(store: ArtifactStore, manifest: Manifest, namespace: str) -> RunEvent:
    output = OutputDataset(
        namespace, _dataset_name(store, manifest.asset), _statistics(manifest), facets=_version(manifest.ref)
    )
    return RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=manifest.created_at.isoformat(),
        run=Run(_run_id(manifest), _run_facets(manifest)),
        job=Job(JOB_NAMESPACE, manifest.asset, _job_facets(manifest.code)),
        inputs=[
            InputDataset(namespace, _dataset_name(store, ref.asset), facets=_version(ref)) for ref in manifest.inputs
        ],
        outputs=[output],
        producer=_PRODUCER,
    )


def _run_id(manifest: Manifest) -> str:
    """Of one making of the artifact. A Dagster run makes several, so its own id is that of the parent."""
    return str(uuid5(NAMESPACE_URL, f"urn:galileu-pipeline:{manifest.id}:{manifest.created_at.isoformat()}"))


def _run_facets(manifest: Manifest) -> dict[str, RunFacet]:
    is_model = manifest.asset.endswith("_model")
    facets: dict[str, RunFacet] = {
        "galileu_record": RecordRunFacet(
            artifact=manifest.id,
            seed=manifest.seed,
            code=manifest.code.digest,
            dirty=manifest.code.dirty,
            # Others may count by person.
            metrics=dict(_figures(manifest.metrics)) if is_model else {},
        )
    }
    if manifest.run and _is_uuid(manifest.run.dagster_run_id):
        facets["parent"] = parent_run.ParentRunFacet(
            run=parent_run.Run(manifest.run.dagster_run_id), job=parent_run.Job(JOB_NAMESPACE, manifest.run.job)
        )
    return facets


def _job_facets(code: CodeInfo) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="GALILEU", jobType="ASSET")
    }
    if code.git_commit:
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=f"pkg:generic/galileu-pipeline@{code.version}", version=code.git_commit
        )
    return facets


def _dataset_name(store: ArtifactStore, asset: str) -> str:
    return f"{store.data.artifacts(asset).name}/{asset}"


def _version(ref: ArtifactRef) -> dict[str, DatasetFacet]:
    return {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=ref.digest),
        "galileu_artifact": ArtifactDatasetFacet(artifact=ref.id),
    }


def _statistics(manifest: Manifest) -> dict[str, OutputDatasetFacet]:
    for names in _ROWS:
        counts = [count for name in names if isinstance(count := manifest.metrics.get(name), int)]
        if isinstance(manifest.metrics.get(names[0]), int):
            statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=sum(counts), fileCount=len(manifest.files)
            )
            return {"outputStatistics": statistics}
    return {}


def _figures(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The numbers among metrics, nested names joined by dots."""
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _figures(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, value


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
