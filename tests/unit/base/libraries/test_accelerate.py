"""Accelerate's private names do what mlmref uses them for."""

import accelerate
import pytest

from mlmref.base.libraries.accelerate import forget_precision

pytestmark = pytest.mark.clause("RUN-018")


def test_one_process_can_have_accelerators_of_two_precisions():
    """Accelerate refuses a second precision until ``forget_precision`` is called."""
    forget_precision()
    try:
        accelerate.Accelerator(mixed_precision="no", cpu=True)
        with pytest.raises(ValueError, match="already been initialized"):
            accelerate.Accelerator(mixed_precision="bf16", cpu=True)
        forget_precision()
        assert accelerate.Accelerator(mixed_precision="bf16", cpu=True).mixed_precision == "bf16"
    finally:
        forget_precision()
