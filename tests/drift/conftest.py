"""Property tests that take the same examples everywhere, and no offence at a busy machine."""

from hypothesis import settings

settings.register_profile("same_everywhere", deadline=None, derandomize=True)
settings.load_profile("same_everywhere")
