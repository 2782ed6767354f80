"""Writing adapters."""

from pathlib import Path
from typing import Any

from peft import PeftModel


def write_adapter(model: PeftModel, folder: Path, **options: Any) -> None:
    """As PEFT does it, without its card of the model: a checkpoint needs none, and a published model has ours.

    PEFT (0.21) reads and compiles the template of the card each time, which takes longer than writing the adapter.
    """
    model.create_or_update_model_card = lambda *_: None  # type: ignore[method-assign]
    try:
        # The vocabulary is the base's; without save_embedding_layers=False PEFT asks the model hub for it, every time.
        model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False, **options)
    finally:
        del model.create_or_update_model_card
