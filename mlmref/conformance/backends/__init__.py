"""The kit for training backends."""

from mlmref.conformance.backends import around, resume, steps
from mlmref.conformance.backends.subject import BackendSubject
from mlmref.conformance.checks import Checks
from mlmref.conformance.kit import Kit
from mlmref.plugin.contracts import BackendEntry

KIT: Kit[BackendEntry, BackendSubject] = Kit(
    Checks(steps.CHECKS, around.CHECKS, resume.CHECKS), BackendSubject
)
