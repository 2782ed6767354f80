"""What holds for all tests."""

from hypothesis import settings

# No example has to be quick: the first one may wait for an import, and any for a busy machine.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
