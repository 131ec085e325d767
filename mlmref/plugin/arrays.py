"""Array types that the core and plugins share, and the label of positions without a target."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

BoolArray = NDArray[np.bool_]


Int32Array = NDArray[np.int32]


Int64Array = NDArray[np.int64]


FloatArray = NDArray[np.float64]


StrArray = NDArray[np.str_]


Probability = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


IGNORE_INDEX = -100
"""The label of a position that is not a target (torch's default ``ignore_index``)."""
