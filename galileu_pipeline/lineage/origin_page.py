"""Where an artifact came from, as one page that a person can look around in and send: nothing fetched, one script."""

import base64
import hashlib
from importlib.resources import files

from markupsafe import Markup

from galileu_pipeline.languages import Language
from galileu_pipeline.lineage.origin import Origin
from galileu_pipeline.lineage.picture import svg
from galileu_pipeline.lineage.wording import LineageWording
from galileu_pipeline.markdown import printable
from galileu_pipeline.pages import render


def origin_page(origin: Origin, language: Language) -> str:
    """The page as HTML. Its policy lets the browser run its own script, known by its digest, and no other."""
    wording = LineageWording(language)
    texts, subject = wording.texts, origin.node(origin.subject)
    script = (files("galileu_pipeline") / "templates" / "lineage.js").read_text(encoding="utf-8")
    return render(
        "lineage",
        language,
        t={**texts, "title": texts["title"].format(id=origin.subject)},
        state=texts["state"].format(when=wording.made_at(subject), digest=subject.digest),
        summary=wording.summary(origin),
        picture=Markup(svg(origin, language)),
        rows=[
            (printable(node.id), texts[node.relation], wording.made_at(node), " · ".join(wording.notes(node)))
            for node in origin.nodes
        ],
        command=texts["command"].format(command=f"galileu lineage {origin.subject}"),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
