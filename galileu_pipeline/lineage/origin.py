"""Where an artifact came from and what became of it: the part of the graph around it, with the feedback counted."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.graph import Graph, Node
from galileu_pipeline.lineage.sources import Feedback, Item


class OriginNode(Node):
    """An artifact as it stands to the subject."""

    relation: Literal["ancestor", "subject", "descendant"]
    feedback: Feedback | None = Field(None, description="behind a dataset; None where it is not recorded or not read")


class Origin(BaseModel):
    """The subject, everything it was made from, and everything made from it.

    Attributes:
        nodes: ancestors, the farthest first; the subject; descendants, the nearest first.
        feedback: behind the subject, all datasets together; None if it was made from none.
        unrecorded: datasets behind the subject that do not say, or no longer, which feedback they hold; with some, the
            counts are the least there is.
        items: by dataset, if asked for: its first pairs or examples with the feedback behind each.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    feedback: Feedback | None
    unrecorded: list[str]
    nodes: list[OriginNode]
    items: dict[str, list[Item]] | None = None

    def node(self, artifact_id: str) -> OriginNode:
        return next(node for node in self.nodes if node.id == artifact_id)

    def children(self, artifact_id: str) -> list[str]:
        """What was made directly from it, of what is in this part of the graph."""
        return [node.id for node in self.nodes if artifact_id in node.inputs]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(input, what was made from it), of what is in this part of the graph."""
        known = {node.id for node in self.nodes}
        return [(source, node.id) for node in self.nodes for source in node.inputs if source in known]

    @property
    def past(self) -> "Origin":
        """Without what was made from the subject."""
        return self.model_copy(update={"nodes": [node for node in self.nodes if node.relation != "descendant"]})


def origin_of(store: ArtifactStore, artifact: Artifact, *, items: int = 0) -> Origin:
    """Where `artifact` came from, and what became of it.

    Args:
        store: where everything else lies.
        items: how many items of each dataset to show, with the rows of feedback behind each.

    Raises:
        GalileuError: a dataset's sources cannot be read.
    """
    graph = Graph.read(store, artifact)
    sources = graph.sources(artifact.id)
    total, by_dataset = sources.count()
    relations = _relations(graph, artifact.id)
    return Origin(
        subject=artifact.id,
        feedback=total if graph.datasets(artifact.id) else None,
        unrecorded=sorted(sources.unrecorded),
        nodes=[
            OriginNode(**dict(graph.nodes[found]), relation=relation, feedback=by_dataset.get(found))
            for found, relation in relations.items()
        ],
        items={found: list(sources.items(found, items)) for found in sources.recorded} if items else None,
    )


def items_behind(store: ArtifactStore, artifact: Artifact) -> Iterator[tuple[str, Iterator[Item]]]:
    """Each dataset behind `artifact` with all its items and the rows of feedback behind them, one item at a time.

    Raises:
        GalileuError: a dataset's sources cannot be read.
    """
    sources = Graph.read(store, artifact).sources(artifact.id)
    for dataset in sources.recorded:
        yield dataset, sources.items(dataset)


def _relations(graph: Graph, subject: str) -> dict[str, Literal["ancestor", "subject", "descendant"]]:
    before: dict[str, Literal["ancestor", "subject", "descendant"]]
    before = dict.fromkeys(reversed(graph.ancestors(subject)), "ancestor")
    return {**before, subject: "subject", **dict.fromkeys(graph.descendants(subject), "descendant")}
