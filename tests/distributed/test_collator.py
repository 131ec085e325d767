"""MaskingCollator on several ranks (spec/collate.md)."""

import json
from pathlib import Path

import pytest
from support import collator_child
from support.launch import Launch, torchrun
from support.runs import save_model

import mlmref


@pytest.mark.clause("COLL-005")
@pytest.mark.clause("COLL-007")
def test_the_masks_of_two_ranks_are_those_of_one_process(tmp_path):
    """Together the ranks have each example once in an epoch, with the mask of that epoch."""
    save_model(tmp_path / "model")
    command = [*torchrun(), collator_child.__file__, str(tmp_path), str(tmp_path / "model")]
    with Launch(command, cwd=tmp_path, log=tmp_path / "log") as started:
        assert started.wait().status == 0, started.err
    ranks = [json.loads(Path(tmp_path, f"rank-{n}.json").read_text("utf-8")) for n in (0, 1)]
    tokenizer = mlmref.load_tokenizer(str(tmp_path / "model"))
    collator = mlmref.MaskingCollator(tokenizer, mlm_probability=0.5)
    for epoch in (0, 1):
        collator.set_epoch(epoch)
        labels = collator(collator_child.examples(tokenizer))["labels"].tolist()
        assert sorted(ranks[0][epoch] + ranks[1][epoch]) == sorted(labels)
    assert ranks[0][0] != ranks[0][1]
