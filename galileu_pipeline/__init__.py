"""galileu_pipeline: people's feedback on a chatbot becomes a better model, with its lineage."""

import os

from galileu_pipeline import environment

__version__ = "0.1.0"

environment.set_defaults(os.environ)  # here, because this is imported before anything else of the package
