"""A training loop that a launcher starts: it writes each rank's masks of two epochs.

``collator_child.py FOLDER MODEL`` writes ``FOLDER/rank-N.json``: the labels by epoch and example.
"""

import json
import sys
from pathlib import Path

# Of the folder above, since a module here has the name of a library.
sys.path[0] = str(Path(__file__).parents[1])


def main(folder, model):
    """Iterate twice over a prepared loader."""
    from accelerate import Accelerator
    from torch.utils.data import DataLoader

    import mlmref

    tokenizer = mlmref.load_tokenizer(model)
    rows = examples(tokenizer)
    accelerator = Accelerator(cpu=True)
    collator = mlmref.MaskingCollator(tokenizer, mlm_probability=0.5)
    loader = DataLoader(rows, batch_size=2, shuffle=True, collate_fn=collator, num_workers=1)
    loader = accelerator.prepare(loader)
    seen = [sorted(row.tolist() for batch in loader for row in batch["labels"]) for _ in range(2)]
    (Path(folder) / f"rank-{accelerator.process_index}.json").write_text(json.dumps(seen))


def examples(tokenizer):
    """Return sixteen examples of one width, each with its id and its own last token."""
    ordinary = [n for n in range(len(tokenizer)) if n not in tokenizer.all_special_ids][:64]
    return [{"input_ids": [*ordinary[:23], ordinary[24 + n]], "id": n} for n in range(16)]


if __name__ == "__main__":
    main(*sys.argv[1:])
