"""Faulty backends, each with the check that is the first to reject it.

Each is the plain loop with one part of it done otherwise; its docstring says what is wrong.
"""
# ruff: noqa: D102 - what a method does wrong is what its class says

import copy
import os
import random
import signal
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from conformance.mutants import Mutant
from torch import nn

from mlmref.conformance.backends.subject import BackendSubject
from mlmref.conformance.backends.toys import toys
from mlmref.plugin.contracts import Options
from mlmref.plugin.training import BackendEntry

MUTANTS = []
SHORT = tuple(toy for toy in toys() if len(toy.steps) < 50)


class Loop:
    """The plain loop in parts."""

    def __init__(self, options):
        self.options = options

    def train(self, job):
        """Train, as all backends do."""
        self.job, self.model, self.optimizer = job, job.model, job.optimizer
        self.number = 0
        self.before()
        for step in self.steps():
            self.number += 1
            self.one(list(step))
        self.after()

    def before(self):
        """Do what comes before the first step."""
        self.model.zero_grad()

    def steps(self):
        """Return the steps."""
        return self.job.steps()

    def one(self, step):
        """Take a step."""
        self.model.train()
        for index, micro_batch in enumerate(step):
            self.micro(index, micro_batch, step)
        norm = self.clip()
        self.update(step)
        self.schedule(step)
        self.clear(step)
        self.tell(norm)

    def micro(self, index, micro_batch, step):
        """Run a micro-batch and add up its gradient."""
        self.backward(self.call(micro_batch), index, step)

    def call(self, micro_batch):
        """Run the model."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.job.precision == "bf16"):
            return self.model(**micro_batch)["loss"]

    def backward(self, loss, index, step):
        """Add the gradient."""
        loss.backward()

    def clip(self):
        """Clip, and return the norm before."""
        return float(nn.utils.clip_grad_norm_(self.model.parameters(), self.job.max_grad_norm))

    def update(self, step):
        """Step the optimizer."""
        self.optimizer.step()

    def schedule(self, step):
        """Step the schedule."""
        self.job.scheduler.step()

    def clear(self, step):
        """Clear the gradients."""
        self.model.zero_grad()

    def tell(self, norm):
        """Tell the job."""
        self.job.after_step(norm)

    def after(self):
        """Do what comes after the last step."""

    def grads(self):
        """Return the gradients there are."""
        return [one.grad for one in self.model.parameters() if one.grad is not None]

    def trained(self):
        """Return the parameters that are trained."""
        return [one for one in self.model.parameters() if one.requires_grad]


def idle(step):
    """Tell whether a step has no target."""
    return all(micro_batch["weight"] == 0.0 for micro_batch in step)


def fault(rejected_by, *, rare=False):
    """Register a faulty backend; one whose fault is rare is tried on the long jobs too."""

    def register(build):
        entry = BackendEntry(name=build.__name__, summary="faulty", build=build)
        options = {"toys": toys() if rare else SHORT}
        MUTANTS.append(
            Mutant(
                name=build.__name__,
                fault=build.__doc__.strip(),
                subject=BackendSubject(entry=entry, options=Options(), **options),
                rejected_by=rejected_by,
            )
        )
        return build

    return register


# --- which micro-batches -------------------------------------------------------------------------


@fault("check_every_micro_batch_once_and_in_order")
class SkipsIdleMicroBatches(Loop):
    """Micro-batches without a target are left out."""

    def micro(self, index, micro_batch, step):
        if (micro_batch["labels"] != -100).any():
            super().micro(index, micro_batch, step)


@fault("check_every_micro_batch_once_and_in_order")
class SkipsIdleSteps(Loop):
    """Steps without a target are left out."""

    def one(self, step):
        if not idle(step):
            super().one(step)


@fault("check_every_micro_batch_once_and_in_order")
class DropsPartialWindow(Loop):
    """A last step with fewer micro-batches than the first is dropped."""

    def one(self, step):
        self.first = len(step) if self.number == 1 else self.first
        if self.number < len(self.job.toy.steps) or len(step) >= self.first:
            super().one(step)


@fault("check_every_micro_batch_once_and_in_order")
class DropsLastOfOdd(Loop):
    """The last step of an odd count of steps is dropped, if there are more than two."""

    def one(self, step):
        total = len(self.job.toy.steps)
        if total % 2 == 0 or total < 3 or self.number < total:
            super().one(step)


@fault("check_every_micro_batch_once_and_in_order")
class SortsMicroBatches(Loop):
    """A step's micro-batches run in the order of their width."""

    def one(self, step):
        super().one(sorted(step, key=lambda one: one["labels"].shape[1]))


@fault("check_every_micro_batch_once_and_in_order")
class CallsTwice(Loop):
    """The model is run once more without gradients, for the log."""

    def call(self, micro_batch):
        with torch.no_grad():
            super().call(micro_batch)
        return super().call(micro_batch)


@fault("check_every_micro_batch_once_and_in_order")
class CutsTheSeed(Loop):
    """The seed of a micro-batch is cut to 32 bits."""

    def call(self, micro_batch):
        return super().call({**micro_batch, "seed": micro_batch["seed"] % 2**32})


@fault("check_every_micro_batch_once_and_in_order")
class RoundsTheWeight(Loop):
    """The weight of the loss goes through float32."""

    def call(self, micro_batch):
        return super().call({**micro_batch, "weight": float(np.float32(micro_batch["weight"]))})


@fault("check_every_micro_batch_once_and_in_order")
class AtMostThirtyTwo(Loop):
    """Micro-batches of a step beyond the thirty-second are left out."""

    def one(self, step):
        super().one(step[:32])


@fault("check_every_micro_batch_once_and_in_order", rare=True)
class LosesOneStepInAThousand(Loop):
    """Step 1000 is run without its last micro-batch."""

    def one(self, step):
        super().one(step[:-1] if self.number == 1000 else step)


@fault("check_every_micro_batch_once_and_in_order")
class PadsRows(Loop):
    """Rows are padded to a multiple of four."""

    def call(self, micro_batch):
        room = -micro_batch["labels"].shape[1] % 4
        fill = {"input_ids": 0, "labels": -100}
        padded = {
            key: nn.functional.pad(micro_batch[key], (0, room), value=value)
            for key, value in fill.items()
        }
        return super().call({**micro_batch, **padded})


@fault("check_steps_are_taken_as_they_are_needed")
class TakesAllAtOnce(Loop):
    """All steps are taken before the first is trained."""

    def steps(self):
        return list(self.job.steps())


@fault("check_steps_are_taken_as_they_are_needed")
class LooksFirst(Loop):
    """The first step is taken to look at its shape, and taken again to train."""

    def before(self):
        super().before()
        next(iter(self.job.steps()))


@fault("check_steps_are_taken_as_they_are_needed")
class AnotherRank(Loop):
    """The steps are asked for as rank 0 of 2 in a single process."""

    def steps(self):
        return self.job.steps(0, 2)


# --- how they are run ----------------------------------------------------------------------------


@fault("check_micro_batches_run_in_training_mode")
class NeverTrains(Loop):
    """The model stays in the mode that it came in."""

    def one(self, step):
        for index, micro_batch in enumerate(step):
            self.micro(index, micro_batch, step)
        norm = self.clip()
        self.update(step)
        self.schedule(step)
        self.clear(step)
        self.tell(norm)


@fault("check_micro_batches_run_in_training_mode")
class EvaluatesLastMicroBatch(Loop):
    """The last of more than three micro-batches is run in evaluation mode."""

    def micro(self, index, micro_batch, step):
        self.model.train(index < 3 or index + 1 < len(step))
        super().micro(index, micro_batch, step)


@fault("check_micro_batches_run_in_training_mode")
class EvaluatesDropout(Loop):
    """Dropout layers alone run in evaluation mode."""

    def call(self, micro_batch):
        self.model.dropouts.eval()
        return super().call(micro_batch)


@fault("check_dropout_is_the_models")
class NoDropout(Loop):
    """Each dropout layer has a probability of zero while the model is trained."""

    def call(self, micro_batch):
        layers = [one for one in self.model.modules() if isinstance(one, nn.Dropout)]
        for one in layers:
            one.p = 0.0
        try:
            return super().call(micro_batch)
        finally:
            for one in layers:
                one.p = self.model.dropout


@fault("check_dropout_is_the_models")
class NoDropoutFunction(Loop):
    """torch's dropout function is replaced by the identity while the model is trained."""

    def call(self, micro_batch):
        held = nn.functional.dropout
        nn.functional.dropout = lambda values, *_, **__: values
        try:
            return super().call(micro_batch)
        finally:
            nn.functional.dropout = held


@fault("check_dropout_is_the_models")
class SeedsBeforeEachDropout(Loop):
    """torch is seeded before each dropout layer, so that all layers draw the same mask."""

    def call(self, micro_batch):
        def seed(*_):
            torch.manual_seed(micro_batch["seed"])

        hooks = [one.register_forward_pre_hook(seed) for one in self.model.dropouts]
        try:
            return super().call(micro_batch)
        finally:
            for hook in hooks:
                hook.remove()


@fault("check_the_precision_is_the_jobs")
class IgnoresPrecision(Loop):
    """Everything is computed in float32."""

    def call(self, micro_batch):
        return self.model(**micro_batch)["loss"]


@fault("check_the_precision_is_the_jobs")
class HalfInPlaceOfBfloat(Loop):
    """bf16 is computed in float16."""

    def call(self, micro_batch):
        with torch.autocast("cpu", torch.float16, enabled=self.job.precision == "bf16"):
            return self.model(**micro_batch)["loss"]


@fault("check_the_precision_is_the_jobs")
class HalfForMany(Loop):
    """A step of more than four micro-batches is computed in bfloat16."""

    def micro(self, index, micro_batch, step):
        with torch.autocast("cpu", torch.bfloat16, enabled=index > 3):
            super().micro(index, micro_batch, step)

    def call(self, micro_batch):
        if self.job.precision == "bf16":
            return super().call(micro_batch)
        return self.model(**micro_batch)["loss"]


@fault("check_the_model_runs_as_it_is")
class NoisyEmbeddings(Loop):
    """Noise is added to the embeddings (NEFTune), and taken off again at the end."""

    def call(self, micro_batch):
        noise = torch.Generator().manual_seed(1)  # its own, so that dropout is as it was
        hook = self.model.embedding.register_forward_hook(
            lambda module, inputs, output: output + 1e-3 * torch.rand(output.shape, generator=noise)
        )
        try:
            return super().call(micro_batch)
        finally:
            hook.remove()


@fault("check_the_model_runs_as_it_is")
class StaleWeights(Loop):
    """The first micro-batch of a step is run with the weights before the last step."""

    def before(self):
        super().before()
        self.old = copy.deepcopy(self.model.state_dict())

    def one(self, step):
        now = copy.deepcopy(self.model.state_dict())
        self.model.load_state_dict(self.old)
        self.old, self.now = now, now
        super().one(step)

    def micro(self, index, micro_batch, step):
        super().micro(index, micro_batch, step)
        self.model.load_state_dict(self.now)


# --- gradients -----------------------------------------------------------------------------------


@fault("check_cuts_do_not_matter")
class DividesByMicroBatches(Loop):
    """The loss is divided by the number of micro-batches."""

    def backward(self, loss, index, step):
        (loss / len(step)).backward()


@fault("check_cuts_do_not_matter")
class DividesByMany(Loop):
    """The loss is divided by the number of micro-batches if there are more than three."""

    def backward(self, loss, index, step):
        (loss / len(step) if len(step) > 3 else loss).backward()


@fault("check_cuts_do_not_matter")
class MeanOfMeans(Loop):
    """Micro-batches weigh alike, however many targets they have."""

    def backward(self, loss, index, step):
        counts = [int((one["labels"] != -100).sum()) for one in step]
        active = sum(count > 0 for count in counts)
        factor = sum(counts) / (counts[index] * active) if counts[index] else 0.0
        (loss * factor).backward()


@fault("check_cuts_do_not_matter")
class LastMicroBatchAlone(Loop):
    """Gradients are cleared before the last of several micro-batches."""

    def backward(self, loss, index, step):
        if index and index + 1 == len(step):
            self.model.zero_grad()
        loss.backward()


@fault("check_gradients_are_added_up_and_cleared")
class TriplesTheLoss(Loop):
    """The loss is multiplied by three, and nothing is clipped."""

    def backward(self, loss, index, step):
        (3 * loss).backward()

    def clip(self):
        return float(nn.utils.get_total_norm(self.grads()))


@fault("check_gradients_are_added_up_and_cleared")
class ForgetsEverySeventh(Loop):
    """The gradients of every seventh step are not cleared."""

    def clear(self, step):
        if self.number % 7:
            super().clear(step)


@fault("check_gradients_are_added_up_and_cleared")
class ForgetsAfterIdle(Loop):
    """Gradients are cleared on the next step's first micro-batch that has a target."""

    def clear(self, step):
        if step[-1]["weight"] or len(step) == 1 or self.number == 1:
            super().clear(step)
        else:
            for one in self.trained():
                one.grad = torch.full_like(one, 1e-3)


@fault("check_gradients_are_added_up_and_cleared")
class KeepsLeftovers(Loop):
    """Gradients from before the job are part of its first step."""

    def before(self):
        pass


@fault("check_gradients_are_added_up_and_cleared")
class NoisyGradients(Loop):
    """Noise of one millionth is on the gradients."""

    def clip(self):
        for grad in self.grads():
            grad.mul_(1 + 1e-6 * torch.rand_like(grad))
        return super().clip()


@fault("check_cuts_do_not_matter")
class RoundsGradients(Loop):
    """Gradients of steps with more than four micro-batches go through bfloat16."""

    def one(self, step):
        self.many = len(step) > 4
        super().one(step)

    def clip(self):
        for grad in self.grads() if self.many else []:
            grad.copy_(grad.bfloat16().float())
        return super().clip()


@fault("check_gradients_are_added_up_and_cleared", rare=True)
class LosesOneGradientInManySteps(Loop):
    """The bias has no gradient in step 611."""

    def clip(self):
        if self.number == 611:
            self.model.output.bias.grad = None
        return super().clip()


@fault("check_gradients_are_added_up_and_cleared")
class TrainsFrozen(Loop):
    """Frozen parameters are given gradients."""

    def one(self, step):
        self.model.known.requires_grad_(True)
        super().one(step)

    def tell(self, norm):
        self.model.known.requires_grad_(False)
        super().tell(norm)


@fault("check_gradients_are_added_up_and_cleared")
class ClipsAtOneByDefault(Loop):
    """Where the job asks for no clipping the norm is clipped to one."""

    def clip(self):
        limit = min(1.0, self.job.max_grad_norm)
        return float(nn.utils.clip_grad_norm_(self.model.parameters(), limit))


@fault("check_gradients_are_clipped")
class ClipsMicroBatches(Loop):
    """The gradient is clipped after each micro-batch."""

    def backward(self, loss, index, step):
        loss.backward()
        if index + 1 < len(step):
            nn.utils.clip_grad_norm_(self.model.parameters(), self.job.max_grad_norm)


@fault("check_gradients_are_clipped")
class ClipsValues(Loop):
    """Each value is clipped in place of the norm."""

    def clip(self):
        norm = float(nn.utils.get_total_norm(self.grads()))
        nn.utils.clip_grad_value_(self.model.parameters(), self.job.max_grad_norm)
        return norm


@fault("check_gradients_are_clipped")
class ClipsLargestValue(Loop):
    """The norm that is clipped is the largest value."""

    def clip(self):
        norm = float(nn.utils.get_total_norm(self.grads()))
        nn.utils.clip_grad_norm_(
            self.model.parameters(), self.job.max_grad_norm, norm_type=float("inf")
        )
        return norm


@fault("check_gradients_are_clipped")
class ClipsEachParameter(Loop):
    """Each parameter is clipped by itself."""

    def clip(self):
        norm = float(nn.utils.get_total_norm(self.grads()))
        for one in self.trained():
            nn.utils.clip_grad_norm_([one], self.job.max_grad_norm)
        return norm


@fault("check_gradients_are_clipped")
class ClipsTooLate(Loop):
    """The gradient is clipped when the optimizer has stepped."""

    def clip(self):
        return float(nn.utils.get_total_norm(self.grads()))

    def schedule(self, step):
        super().schedule(step)
        super().clip()


@fault("check_gradients_are_clipped")
class ClipsOnlyFar(Loop):
    """A norm of less than twice the limit is not clipped."""

    def clip(self):
        norm = float(nn.utils.get_total_norm(self.grads()))
        return norm if norm < 2 * self.job.max_grad_norm else super().clip()


@fault("check_gradients_are_clipped")
class NeverClipsFirst(Loop):
    """The first step is not clipped."""

    def clip(self):
        if self.number == 1:
            return float(nn.utils.get_total_norm(self.grads()))
        return super().clip()


# --- the optimizer and the schedule --------------------------------------------------------------


@fault("check_one_update_a_step")
class OwnOptimizer(Loop):
    """An optimizer of its own is stepped."""

    def before(self):
        super().before()
        self.optimizer = torch.optim.AdamW(self.trained(), lr=0.1)


@fault("check_one_update_a_step")
class OneRate(Loop):
    """All groups have the first one's rate."""

    def update(self, step):
        groups = self.optimizer.param_groups
        held = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = held[0]
        super().update(step)
        for group, rate in zip(groups, held, strict=True):
            group["lr"] = rate


@fault("check_one_update_a_step")
class DecaysAll(Loop):
    """All groups have the largest weight decay."""

    def before(self):
        super().before()
        for group in self.optimizer.param_groups:
            group["weight_decay"] = 0.25


@fault("check_one_update_a_step")
class SkipsZeroGradients(Loop):
    """A step whose gradient is zero is not stepped."""

    def update(self, step):
        if any(bool(grad.any()) for grad in self.grads()):
            super().update(step)


@fault("check_one_update_a_step")
class StepsTwice(Loop):
    """A step of more than four micro-batches is stepped twice."""

    def update(self, step):
        super().update(step)
        if len(step) > 4:
            super().update(step)


@fault("check_the_schedule_steps_after_the_optimizer")
class ScheduleFirst(Loop):
    """The schedule is stepped before the optimizer."""

    def update(self, step):
        self.job.scheduler.step()
        super().update(step)

    def schedule(self, step):
        pass


@fault("check_the_schedule_steps_after_the_optimizer")
class SchedulePerMicroBatch(Loop):
    """The schedule is stepped for each micro-batch."""

    def schedule(self, step):
        for _ in step:
            super().schedule(step)


@fault("check_the_schedule_steps_after_the_optimizer")
class NoScheduleWhenIdle(Loop):
    """The schedule is not stepped in a step without targets."""

    def schedule(self, step):
        if not idle(step):
            super().schedule(step)


@fault("check_the_schedule_steps_after_the_optimizer")
class ScheduleAtTheEnd(Loop):
    """The schedule is stepped once more at the end."""

    def after(self):
        self.job.scheduler.step()


@fault("check_the_schedule_steps_after_the_optimizer")
class ScheduleAfterTelling(Loop):
    """The schedule is stepped after after_step."""

    def schedule(self, step):
        pass

    def tell(self, norm):
        super().tell(norm)
        super().schedule(None)


@fault("check_after_step_is_told")
class NormAfterClipping(Loop):
    """The norm that is told is the one after clipping."""

    def clip(self):
        return min(super().clip(), self.job.max_grad_norm)


@fault("check_after_step_is_told")
class NormOfOneParameter(Loop):
    """The norm that is told is the embedding's."""

    def clip(self):
        norm = float(nn.utils.get_total_norm([self.model.embedding.weight.grad]))
        super().clip()
        return norm


@fault("check_after_step_is_told")
class TellsATensor(Loop):
    """The norm that is told is a tensor."""

    def tell(self, norm):
        super().tell(torch.tensor(norm))


@fault("check_after_step_is_told")
class NotToldOfTheLast(Loop):
    """The last of several steps is not told."""

    def tell(self, norm):
        if self.number == 1 or self.number < len(self.job.toy.steps):
            super().tell(norm)


# --- the weights ---------------------------------------------------------------------------------


@fault("check_a_step_without_targets_changes_nothing")
class DecaysByItself(Loop):
    """Weights decay in each step, whether the optimizer moves them or not."""

    def clear(self, step):
        super().clear(step)
        if idle(step) or len(step) > 70:
            with torch.no_grad():
                self.model.output.weight.mul_(0.999)


@fault("check_nothing_else_moves_the_weights")
class AverageAtTheEnd(Loop):
    """At the end the weights are an average over the last two steps."""

    def before(self):
        super().before()
        self.last = [one.detach().clone() for one in self.trained()]

    def one(self, step):
        self.last = [one.detach().clone() for one in self.trained()]
        super().one(step)

    def after(self):
        with torch.no_grad():
            for one, last in zip(self.trained(), self.last, strict=True):
                one.lerp_(last, 0.5)


@fault("check_nothing_else_moves_the_weights")
class TrainsACopy(Loop):
    """A copy is trained, and when the last step is told the job's model has not its bias."""

    def before(self):
        super().before()
        self.own = copy.deepcopy(self.model.state_dict())

    def one(self, step):
        self.model.load_state_dict(self.own)
        self.stale = self.number == len(self.job.toy.steps) and not idle(step)
        super().one(step)

    def tell(self, norm):
        self.own = copy.deepcopy(self.model.state_dict())
        if self.stale:
            with torch.no_grad():
                self.model.output.bias.zero_()
        super().tell(norm)

    def after(self):
        self.model.load_state_dict(self.own)


@fault("check_nothing_else_moves_the_weights")
class RoundsWeights(Loop):
    """Weights go through bfloat16 after each step with more than four micro-batches."""

    def update(self, step):
        super().update(step)
        if len(step) > 4 and not idle(step):
            for one in self.trained():
                one.data = one.data.bfloat16().float()


@fault("check_nothing_else_moves_the_weights")
class ClampsWeights(Loop):
    """Weights are clamped to two."""

    def update(self, step):
        super().update(step)
        with torch.no_grad():
            self.model.embedding.weight.clamp_(-1.25, 1.25)


@fault("check_nothing_else_moves_the_weights", rare=True)
class MovesFrozen(Loop):
    """From step 60 on a frozen parameter moves by one millionth where it does not matter."""

    def update(self, step):
        super().update(step)
        if self.number > 60 and not idle(step):
            self.model.known.data[0] -= 1e-6


# --- no number, evaluation, errors ---------------------------------------------------------------


@fault("check_what_is_no_number_reaches_the_job")
class SkipsNoNumber(Loop):
    """The optimizer is not stepped with a gradient that is no number."""

    def update(self, step):
        if all(bool(grad.isfinite().all()) for grad in self.grads()):
            super().update(step)


@fault("check_what_is_no_number_reaches_the_job")
class RefusesNoNumber(Loop):
    """An error of its own ends training when the norm is no number."""

    def clip(self):
        return float(
            nn.utils.clip_grad_norm_(
                self.model.parameters(), self.job.max_grad_norm, error_if_nonfinite=True
            )
        )


@fault("check_what_is_no_number_reaches_the_job")
class ScalesTheLoss(Loop):
    """The loss is scaled by a power of two, which overflows, and the gradient back."""

    def backward(self, loss, index, step):
        (loss * 1024.0).backward()

    def clip(self):
        for grad in self.grads():
            grad.mul_(1 / 1024.0)
        return super().clip()


@fault("check_evaluation_leaves_no_trace")
class TrainsOnlyAtFirst(Loop):
    """The model is put in training mode once, before the first step."""

    def before(self):
        super().before()
        self.model.train()

    def one(self, step):
        self.model.train, train = (lambda: None), self.model.train
        del train
        try:
            super().one(step)
        finally:
            del self.model.train


@fault("check_evaluation_leaves_no_trace")
class TellsWithinAutocast(Loop):
    """after_step is called within autocast."""

    def tell(self, norm):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.job.precision == "bf16"):
            super().tell(norm)


@fault("check_errors_come_out")
class SwallowsErrors(Loop):
    """An error ends training, and is not raised."""

    def train(self, job):
        try:
            super().train(job)
        except Exception:  # noqa: BLE001 - the fault
            return


@fault("check_errors_come_out")
class WrapsErrors(Loop):
    """An error in after_step comes out as another one."""

    def tell(self, norm):
        try:
            super().tell(norm)
        except Exception as error:
            raise RuntimeError(str(error)) from error


@fault("check_errors_come_out")
class TriesAgain(Loop):
    """When memory runs out a micro-batch is run once more."""

    def call(self, micro_batch):
        try:
            return super().call(micro_batch)
        except RuntimeError:
            return super().call(micro_batch)


@fault("check_errors_come_out")
class StopsQuietly(Loop):
    """Ctrl-C ends training as if it were done."""

    def train(self, job):
        try:
            super().train(job)
        except KeyboardInterrupt:
            return


@fault("check_errors_come_out")
class GoesOnAfterErrors(Loop):
    """An error in after_step is raised when all steps are done."""

    def before(self):
        super().before()
        self.error = None

    def tell(self, norm):
        try:
            super().tell(norm)
        except ValueError as error:
            self.error = error

    def after(self):
        if self.error:
            raise self.error


# --- what is left behind -------------------------------------------------------------------------


@fault("check_objects_are_left_as_found")
class LeavesForward(Loop):
    """The model keeps a forward of the backend's."""

    def before(self):
        super().before()
        forward = self.model.forward
        self.model.forward = lambda **micro_batch: forward(**micro_batch)


@fault("check_objects_are_left_as_found")
class LeavesAHook(Loop):
    """A hook stays on a module when training ends by an error."""

    def train(self, job):
        hook = job.model.output.register_forward_hook(lambda *_: None)
        super().train(job)
        hook.remove()


@fault("check_objects_are_left_as_found")
class FreezesAtTheEnd(Loop):
    """Parameters are frozen when training is done."""

    def after(self):
        self.model.output.bias.requires_grad_(False)


@fault("check_objects_are_left_as_found")
class NewParameters(Loop):
    """At the end a parameter is another object than the optimizer's."""

    def after(self):
        self.model.output.bias = nn.Parameter(self.model.output.bias.detach().clone())


@fault("check_the_process_is_left_as_found")
class Seeds(Loop):
    """The generators are seeded with the job's seed."""

    def before(self):
        super().before()
        random.seed(self.job.seed)


@fault("check_the_process_is_left_as_found")
class SeedsNumPy(Loop):
    """NumPy's generator is drawn from."""

    def after(self):
        np.random.rand()  # noqa: NPY002 - the fault


@fault("check_the_process_is_left_as_found")
class SeedsTorch(Loop):
    """torch's generator is drawn from once at the end."""

    def after(self):
        torch.rand(1)


@fault("check_the_process_is_left_as_found")
class SetsTheEnvironment(Loop):
    """A variable of the environment is set."""

    def train(self, job):
        os.environ["FAULTY_RANK"] = "0"
        try:
            super().train(job)
        finally:
            self.left = os.environ.pop("FAULTY_RANK") if job.precision == "fp32" else None


@fault("check_the_process_is_left_as_found")
class LeavesTypeAfterError(Loop):
    """The matrix precision is set, and put back unless there is an error."""

    def train(self, job):
        held = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        super().train(job)
        torch.set_float32_matmul_precision(held)


@fault("check_the_process_is_left_as_found")
class LeavesWarnings(Loop):
    """A filter of warnings is left."""

    def before(self):
        super().before()
        warnings.filterwarnings("ignore", message="of the faulty backend")


@fault("check_the_process_is_left_as_found")
class HandlesSignals(Loop):
    """A handler of SIGTERM is left."""

    def before(self):
        super().before()
        signal.signal(signal.SIGTERM, lambda *_: None)


@fault("check_only_scratch_is_written_to")
class WritesALog(Loop):
    """A log is written where the run was started."""

    def after(self):
        Path("faulty.log").write_text("done", "utf-8")


@fault("check_only_scratch_is_written_to")
class SavesAtHome(Loop):
    """The weights are saved at home, by torch's own writer."""

    def after(self):
        torch.save(self.model.state_dict(), str(Path.home() / "faulty.pt"))


@fault("check_only_scratch_is_written_to")
class WritesAndRemoves(Loop):
    """A temporary file is made outside scratch, and removed."""

    def one(self, step):
        with tempfile.NamedTemporaryFile():
            super().one(step)


@fault("check_jobs_one_after_another")
class CountsOnAndOn(Loop):
    """Steps are counted over all jobs, and every twelfth one's gradient is doubled."""

    count = 0

    def clip(self):
        self.count += 1
        if self.count % 12 == 0 and self.count > self.number:
            for grad in self.grads():
                grad.mul_(2)
        return super().clip()


@fault("check_jobs_one_after_another")
class KeepsPrecision(Loop):
    """The first job's precision is kept."""

    precision = None

    def call(self, micro_batch):
        self.precision = self.precision or self.job.precision
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            return self.model(**micro_batch)["loss"]


@fault("check_jobs_one_after_another")
class SkipsAfterFailure(Loop):
    """The first step after a job that failed is not clipped."""

    failed = False

    def clip(self):
        failed, self.failed = self.failed, False
        return float(nn.utils.get_total_norm(self.grads())) if failed else super().clip()

    def train(self, job):
        try:
            super().train(job)
        except Exception:
            self.failed = True
            raise


@fault("check_the_model_can_be_exported")
class LeavesColumnsFirst(Loop):
    """A matrix ends laid out by columns, which safetensors does not write."""

    def after(self):
        self.model.output.weight.data = self.model.output.weight.data.t().contiguous().t()


@fault("check_the_model_can_be_exported")
class InferenceTensors(Loop):
    """The weights end as tensors that cannot be trained further."""

    def after(self):
        with torch.inference_mode():
            for one in self.trained():
                one.data = one.data.clone()


@fault("check_stop_and_resume")
class ForgetsMomentum(Loop):
    """The optimizer's state is cleared before the first step."""

    def before(self):
        super().before()
        self.optimizer.state.clear()


@fault("check_stop_and_resume")
class ClearsAtTheEnd(Loop):
    """The optimizer's state is cleared when training is done, to save memory."""

    def after(self):
        self.optimizer.state.clear()


@fault("check_stop_and_resume")
class WarmsUpAgain(Loop):
    """The first step of a job that is resumed has half its gradient."""

    def clip(self):
        if self.number == 1 and self.job.scheduler.last_epoch:
            for grad in self.grads():
                grad.mul_(0.5)
        return super().clip()


@fault("check_stop_and_resume")
class NeedsAStep(Loop):
    """A job without steps left is an error."""

    def steps(self):
        if not len(self.job.steps()):
            raise ValueError("there is nothing to train")
        return super().steps()


class Counts(Loop):
    """Right: a loss scale that grows with a count, which is handed in."""

    def before(self):
        super().before()
        self.count = 0
        self.hand_in()

    def hand_in(self):
        """Hand the count in."""
        self.job.keep("count", self)

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]

    def backward(self, loss, index, step):
        super().backward(loss * 2.0 ** (self.count % 4), index, step)

    def clip(self):
        for grad in self.grads():
            grad.mul_(2.0 ** -(self.job.scheduler.last_epoch % 4))
        return super().clip()

    def tell(self, norm):
        self.count += 1
        super().tell(norm)


@fault("check_stop_and_resume")
class CountsInSecret(Counts):
    """A loss scale grows with a count that is not handed in."""

    def hand_in(self):
        pass


@fault("check_state_is_handed_in")
class HandsInLate(Counts):
    """The count is handed in when the first step has been taken."""

    def hand_in(self):
        pass

    def one(self, step):
        if self.number == 1:
            self.job.keep("count", self)
        super().one(step)


@fault("check_state_is_handed_in")
class HandsInTwice(Counts):
    """Two states are handed in under one name."""

    def hand_in(self):
        super().hand_in()
        super().hand_in()


@fault("check_state_is_handed_in")
class CannotBeSaved(Counts):
    """What is handed in holds a set."""

    def state_dict(self):
        return super().state_dict() | {"seen": {self.count}}


@fault("check_state_is_handed_in")
class StartsAgain(Counts):
    """A count, of no use to the training, is set to zero after it was restored."""

    def hand_in(self):
        super().hand_in()
        self.count = 0

    def backward(self, loss, index, step):
        loss.backward()

    def clip(self):
        return Loop.clip(self)
