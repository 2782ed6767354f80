"""Who tried to reach another machine."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GUARD = Path(__file__).with_name("network_guard")


@dataclass(frozen=True)
class NetworkGuard:
    """Watches the processes that are started with `environment`, and their children: see network_guard/."""

    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """TRL reports nothing where CI is set, and huggingface_hub nothing offline; here they would if they could."""
        path = os.pathsep.join(filter(None, (str(_GUARD), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "NETWORK_GUARD_LOG": str(self.log), "CI": "", "HF_HUB_OFFLINE": ""}

    def attempts(self) -> list[str]:
        """What was tried, and by which command."""
        return [f"{line['value']} by {' '.join(line['process'])}" for line in self._lines("attempt")]

    def watched(self) -> list[str]:
        """The commands of all processes that were started."""
        return [" ".join(line["process"]) for line in self._lines("start")]

    def _lines(self, kind: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if line["kind"] == kind]
