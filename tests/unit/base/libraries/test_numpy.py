"""NumPy's errors have the texts that mlmref recognizes."""

import numpy as np
import pytest

from mlmref.base.libraries.numpy import is_write_to_read_only
from mlmref.masking.check_plan import read_only

pytestmark = pytest.mark.clause("RUN-018")

ARRAY = read_only(np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    "write",
    [
        lambda: ARRAY.__setitem__(0, 1),
        lambda: ARRAY.sort(),
        lambda: ARRAY.__iadd__(1),
        lambda: np.copyto(ARRAY, 1),
        lambda: np.add(ARRAY, 1, out=ARRAY),
        lambda: ARRAY[0].view().setflags(write=True),
    ],
)
def test_a_write_to_a_read_only_array_is_recognized(write):
    """Assignment, operations in place, ``out=`` and ``setflags`` raise errors of that text."""
    with pytest.raises(ValueError, match="read-only|WRITEABLE") as caught:
        write()
    assert is_write_to_read_only(caught.value)


def test_another_error_is_not():
    """A shape that does not fit is another error."""
    with pytest.raises(ValueError, match="broadcast") as caught:
        np.arange(3) + np.arange(4)
    assert not is_write_to_read_only(caught.value)
