"""safetensors and tokenizers word errors of the disk as mlmref expects."""

import pytest
import torch
from safetensors.torch import save_file
from support.tokenizers import tokenizer

from mlmref.base.libraries.rust import is_os_error

pytestmark = pytest.mark.clause("RUN-018")


def test_errors_of_the_disk_are_recognized(tmp_path):
    """Neither library can write to a folder that does not exist."""
    there = tmp_path / "missing" / "file"
    with pytest.raises(Exception, match="os error 2") as caught:
        save_file({"weight": torch.zeros(1)}, there)
    assert is_os_error(caught.value)
    with pytest.raises(Exception, match="os error 2") as caught:
        tokenizer("wordpiece").backend_tokenizer.save(str(there))
    assert not isinstance(caught.value, OSError), "the module can go: this is an OSError by now"
    assert is_os_error(caught.value)


def test_another_error_is_not():
    """A token that cannot be read is another error."""
    assert not is_os_error(ValueError("unknown token"))
