"""Self-contained HTML pages: no foreign scripts, nothing fetched, and what people or models wrote is shown as text."""

import base64
from datetime import datetime

from galileu_pipeline.languages import Language

_HTML_LANGUAGE = {"pt": "pt-BR", "en": "en"}


def render(template: str, language: Language, **values: object) -> str:
    """`templates/<template>.html.jinja`, filled in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # here, for who only wants a date

    environment = Environment(
        loader=PackageLoader("galileu_pipeline"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{template}.html.jinja").render(lang=_HTML_LANGUAGE[language], **values)


def data_address(png: bytes) -> str:
    """A PNG as an address that holds the picture itself."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def moment(when: datetime, language: Language) -> str:
    """Date and minute."""
    return f"{when:%d/%m/%Y %H:%M}" if language == "pt" else f"{when:%Y-%m-%d %H:%M}"
