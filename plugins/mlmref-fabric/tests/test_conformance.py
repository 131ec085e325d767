"""The backend keeps every clause that a training backend has to keep."""

from mlmref_fabric import mlmref_training_backends

from mlmref.conformance import parametrize_backend_checks


@parametrize_backend_checks(mlmref_training_backends())
def test_it_conforms(check):
    """As it is registered."""
    check()
