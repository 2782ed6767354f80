"""The lineage graph as people read it: counts, states and times in service, in their language."""

from galileu_pipeline.languages import Language, number
from galileu_pipeline.lineage.graph import Node, Reign
from galileu_pipeline.lineage.origin import Origin, OriginNode
from galileu_pipeline.lineage.sources import Feedback
from galileu_pipeline.lineage.texts import TEXTS, Texts
from galileu_pipeline.markdown import printable
from galileu_pipeline.pages import moment


class LineageWording:
    """Sentences of one language. They hold names as they are; whoever shows them escapes them."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.texts: Texts = TEXTS[language]

    def feedback(self, feedback: Feedback) -> str:
        """Rows and people."""
        return self.texts["feedback"].format(
            rows=self._counted("rows", feedback.rows), people=self._counted("people", feedback.people)
        )

    def summary(self, origin: Origin) -> list[str]:
        """How much feedback is behind the subject, and whether that is all there is."""
        if origin.feedback is None:
            return [self.texts["no_feedback"]]
        if not origin.unrecorded:
            return [self.texts["summary"].format(feedback=self.feedback(origin.feedback))]
        known = self.texts["at_least"].format(feedback=self.feedback(origin.feedback))
        return [
            *([self.texts["summary"].format(feedback=known)] if origin.feedback.rows else []),
            self.texts["unrecorded"].format(ids=", ".join(origin.unrecorded)),
        ]

    def notes(self, node: Node) -> list[str]:
        """What there is to say of an artifact beside its name, in short lines."""
        found = []
        if isinstance(node, OriginNode) and node.feedback:
            found += [self.feedback(node.feedback), self._counted("items", node.feedback.items)]
        if node.outcome:
            text = self.texts.get(node.outcome, node.outcome)
            found.append(text.format(chosen=node.chosen) if node.outcome in self.texts else text)
        if node.in_service:
            found.append(self.reign(node.in_service[-1]))
        if node.state != "present":
            found.append(self.texts[node.state])
        return [printable(note) for note in found]

    def made_at(self, node: Node) -> str:
        return moment(node.made_at, self.language) if node.made_at else "–"

    def reign(self, reign: Reign) -> str:
        """When a model was in service."""
        name = "in_service"
        if reign.since or reign.until:
            name = f"in_service_{'from_to' if reign.since and reign.until else 'since' if reign.since else 'until'}"
        ends = {"since": reign.since, "until": reign.until}
        return self.texts[name].format(**{end: moment(when, self.language) for end, when in ends.items() if when})

    def _counted(self, what: str, n: int) -> str:
        return self.texts[f"{what}_one"] if n == 1 else self.texts[f"{what}_many"].format(n=number(n, self.language))
