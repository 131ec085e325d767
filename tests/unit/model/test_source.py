"""Where a model comes from (spec/checkpoints.md)."""

import pytest

from mlmref.base.errors import ModelError
from mlmref.model.source import find_model
from mlmref.settings.config import ModelConfig


@pytest.mark.clause("CKPT-011")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "no such file"),
        ("[model\n", "the file is not TOML: .*"),
        ("[corpus]\nname = 'imdb'\n", "it does not name the model"),
    ],
)
def test_a_checkpoint_of_an_unfinished_run_needs_the_runs_settings(tmp_path, text, why):
    """Without a model in config.toml, one line says why and what to do."""
    folder = tmp_path / "run.unfinished" / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True)
    (folder / "manifest.json").touch()
    if text is not None:
        (tmp_path / "run.unfinished" / "config.toml").write_text(text, "utf-8")
    with pytest.raises(
        ModelError,
        match=rf"the run of this checkpoint has no readable config\.toml \({why}\); keep the",
    ):
        find_model(ModelConfig(name=str(folder)))
