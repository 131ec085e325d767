"""Without a GPU its tests are skipped, or where they were asked for have failed."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _gpu(pytestconfig):
    """Make sure that there is a GPU."""
    if torch.cuda.is_available():
        return
    if pytestconfig.option.markexpr == "gpu":
        pytest.fail("there is no GPU that torch can use")
    pytest.skip("no tests of a GPU were asked for: pytest -m gpu")
