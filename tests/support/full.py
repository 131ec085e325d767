"""A pytest plugin: ``pytest --full`` runs what the default run omits (spec/README.md, SPEC-014).

Tests marked ``full`` show more cases of facts that other tests prove. Properties belong to both
runs: the default run draws few examples of each, the full one many.
"""

from hypothesis import settings


def pytest_addoption(parser):
    """Add the option."""
    text = "run what the default run omits: tests marked full, and more examples of each property"
    parser.getgroup("specification").addoption("--full", action="store_true", help=text)


def pytest_configure(config):
    """Draw more examples."""
    if config.option.full:
        settings.load_profile("full")


def pytest_collection_modifyitems(config, items):
    """Select the tests of one run or the other."""
    selected, omitted = [], []
    for item in items:
        more = bool(item.get_closest_marker("full"))
        drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        selects = more or drawn if config.option.full else not more
        (selected if selects else omitted).append(item)
    config.hook.pytest_deselected(items=omitted)
    items[:] = selected
