from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.policy.customers import one_thread

settings.register_profile("same_everywhere", deadline=None, derandomize=True)
settings.load_profile("same_everywhere")


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with one_thread():
        yield
