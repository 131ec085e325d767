"""What the tests of bad input share."""

import pytest
from support.bad_inputs import make_place


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Make a folder with good and bad models, corpora and settings in it, which nobody changes."""
    return make_place(tmp_path_factory.mktemp("place"))
