"""The hub's cache in place of a hub that does not answer."""

import socket
from threading import Thread

import datasets
import huggingface_hub
import pytest
from huggingface_hub import constants

from mlmref.base.errors import CorpusError, ModelError
from mlmref.base.hub import hub_or_cache
from mlmref.data.corpus.load import load_corpus
from mlmref.model.load import load_model
from mlmref.settings.config import CorpusConfig, ModelConfig


@pytest.fixture
def connections(monkeypatch):
    """Collect the files that a hub is asked for which closes each connection."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                request = connection.recv(4096)
                if b"/resolve/" in request:  # the library also reports its version once
                    asked.append(request)
                connection.close()

        Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name, value in {
            "HF_HUB_OFFLINE": False,
            "ENDPOINT": url,
            "HUGGINGFACE_CO_URL_TEMPLATE": url + "/{repo_id}/resolve/{revision}/{filename}",
        }.items():
            monkeypatch.setattr(constants, name, value)
        huggingface_hub.close_session()
        yield asked
        server.shutdown(socket.SHUT_RDWR)
    huggingface_hub.close_session()


@pytest.mark.clause("MODEL-016")
def test_one_failed_connection_refuses_a_model(connections, tmp_path, monkeypatch):
    """Where the libraries would retry each file."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="reaches the hub"):
        load_model(ModelConfig(name="some/model"))
    assert len(connections) == 1


@pytest.mark.clause("MODEL-016")
def test_one_failed_connection_refuses_a_dataset(connections, tmp_path, monkeypatch):
    """The error names the corpus."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    with pytest.raises(CorpusError, match=r"hub:some/data: cannot be loaded"):
        load_corpus(CorpusConfig(name="hub:some/data"))
    assert len(connections) == 1


@pytest.mark.clause("MODEL-016")
def test_the_cache_serves_what_the_hub_does_not(connections):
    """Inside, the libraries are offline; outside, they are as before."""
    with hub_or_cache("some/model"):
        assert huggingface_hub.is_offline_mode()
    assert not huggingface_hub.is_offline_mode()
    assert len(connections) == 1
