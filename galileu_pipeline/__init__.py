"""galileu_pipeline: people's feedback on a chatbot becomes a better model, with its lineage."""

__version__ = "0.1.0"
