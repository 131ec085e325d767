"""What every test stands on: Hypothesis' profiles and a cache of the session's own."""

import os
import signal

import pytest
from hypothesis import HealthCheck, Phase, settings

# Before torch is imported, here and in the processes that tests start. Two workers share two
# cores, and threads beside them only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts what runs in its background with Ctrl-C ignored, and so would all that the tests
# start, some of which they interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["support.full", "support.limits", "support.needless", "support.proof", "pytester"]

# No deadline: the machines that run the tests are shared, and no test depends on the clock.
# Examples that build a dataset are slow to draw, which says nothing about the property.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=50, **_COMMON)
settings.register_profile("ci", max_examples=50, derandomize=True, **_COMMON)
settings.register_profile("full", max_examples=1_000, **_COMMON)
settings.register_profile("nightly", max_examples=10_000, **_COMMON)
# A mutant is to be found, not explained, and found or not in each run alike.
_FOUND = {"derandomize": True, "database": None, "phases": [Phase.explicit, Phase.generate]}
settings.register_profile("mutation", max_examples=40, **_FOUND, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_configure(config):
    """Hide GPUs, unless tests of them are asked for: what the others tell is of CPUs."""
    if "gpu" not in config.option.markexpr.replace("not gpu", ""):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep what the tests prepare out of the user's cache, and the user's cache out of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLMREF_CACHE", str(tmp_path_factory.mktemp("mlmref-cache")))
        yield
