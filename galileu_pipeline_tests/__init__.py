"""The tests. Whichever module comes first, the package is imported before PyTorch, to set what PyTorch will read."""

import galileu_pipeline  # noqa: F401
