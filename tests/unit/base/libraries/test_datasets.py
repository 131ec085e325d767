"""What mlmref relies on in Datasets' own code."""

import os

import pyarrow as pa
import pytest
from datasets import Dataset

from mlmref.base.libraries.datasets import in_a_worker, table_of


@pytest.mark.clause("RUN-018")
def test_the_table_of_a_batch_of_map_is_found():
    """As long as no column was written or read, and in the format arrow; a dictionary has none."""
    found = []

    def look(batch):
        found.append(table_of(batch))
        batch["new"] = batch["a"]
        found.append(table_of(batch))

    dataset = Dataset.from_dict({"a": [[1], [2, 3]]})
    dataset.map(look, batched=True)
    assert found[0].to_pydict() == {"a": [[1], [2, 3]]}
    assert found[1] is None
    dataset.with_format("arrow").map(lambda batch: found.append(table_of(batch)), batched=True)
    assert isinstance(found[2], pa.Table)
    assert table_of({"a": [[1]]}) is None


@pytest.mark.clause("RUN-018")
def test_a_process_of_num_proc_is_recognized(monkeypatch):
    """And this one is none."""
    monkeypatch.setattr(os, "environ", os.environ)  # which num_proc replaces by a copy
    assert not in_a_worker()
    dataset = Dataset.from_dict({"a": [1, 2]})
    made = dataset.map(lambda one: {"worker": in_a_worker()}, num_proc=2)
    assert made["worker"][:] == [True, True]
