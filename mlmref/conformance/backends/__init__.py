"""The kit for training backends."""

from mlmref.conformance.backends import around, forward, resume, steps
from mlmref.conformance.backends.subject import BackendSubject
from mlmref.conformance.checks import Checks
from mlmref.conformance.kit import Kit
from mlmref.plugin.training import BackendEntry

KIT: Kit[BackendEntry, BackendSubject] = Kit(
    Checks(forward.CHECKS, steps.CHECKS, around.CHECKS, resume.CHECKS), BackendSubject
)
