"""AdaMerging's step: the coefficients of the task vectors are learned on unlabelled images of the tasks so far.

Mergers know neither data nor models, so the rule merges with coefficients that it is given, and this step learns them.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.experiment.parts import Parts
from cl_bench.experiment.state import Run
from cl_bench.images import batches
from cl_bench.images.samples import Samples
from cl_bench.mergers import AdaMerging, RunningMerge
from cl_bench.mergers.adamerging import weighted
from cl_bench.runtime import distributed, seeds

log = logging.getLogger(__name__)


def adapt(run: Run) -> None:
    """Learns the coefficients for the tasks so far, and gives them to the merger; rank 0 does, and others wait.

    The images are those of `evaluation.split`, whose labels are not looked at. An image is classified among the classes
    of its task, as by the task's own classifier in the publication.
    """
    merger = run.parts.merger
    if not isinstance(merger, AdaMerging) or not distributed.is_main():
        return
    split, tasks = run.parts.evaluation.split, run.merged.tasks
    log.info("AdaMerging: %d steps on unlabelled %s images (tasks so far: %d)", merger.steps, split, tasks)
    with run.meter.stage("merging"), torch.enable_grad():
        model = _Model(run, _images(run.parts, merger, tasks))
        found = learned(merger, run.merged.running, model.slope)

    def coefficients(name: str, tasks: int) -> Tensor:
        if tasks != len(found[name]):
            raise ValueError(f"coefficients were learned for {len(found[name])} tasks, not for {tasks}")
        return found[name]

    merger.coefficients = coefficients


def learned(
    merger: AdaMerging, running: RunningMerge, slope: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Learns coefficients by Adam, in the memory of the merged model, its gradient, and one parameter of all tasks.

    By the chain rule, the slope of a coefficient is the inner product of its task vector with the loss's gradient with
    respect to the merged parameter. So nothing of all task vectors is kept; they are read twice in each step.

    Args:
        merger: The settings.
        running: Has the tasks' weights.
        slope: The gradient of the loss of the next step with respect to the merged weights, by parameter.

    Returns:
        (T,) coefficients by parameter.
    """
    names, tasks = running.parameters, running.tasks
    columns = len(names) if merger.granularity == "layer_wise" else 1
    raw = torch.full((tasks, columns), merger.start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([raw], lr=merger.learning_rate)
    for _ in range(merger.steps):
        used = raw.clamp(0, 1).expand(tasks, len(names))
        merged = {}
        for name, column in zip(names, used.detach().T, strict=True):
            stack = running.stack(name)
            merged[name] = weighted(stack.vectors, column).mul_(merger.scaling).add_(stack.pretrained)
        gradients = slope(merged)
        slopes = [_products(running.stack(name).vectors, gradients[name]) for name in names]
        optimizer.zero_grad()
        used.backward(torch.stack(slopes, dim=1).mul_(merger.scaling))
        optimizer.step()
    return dict(zip(names, raw.detach().clamp(0, 1).expand(tasks, len(names)).T, strict=True))


def _products(vectors: Tensor, gradient: Tensor) -> Tensor:
    """(T,) float64 inner products on the CPU."""
    gradient = gradient.to(vectors.device, torch.float64)
    return torch.stack([(vector.double() * gradient).sum() for vector in vectors]).cpu()


class _Model:
    """The merged model, evaluated on one batch of images after the other.

    Args:
        run: The run.
        images: The batches.
    """

    def __init__(self, run: Run, images: Iterator[batches.Batch]) -> None:
        parts, arrived = run.parts, run.arrived
        self._parts, self._images, self._device = parts, images, parts.devices.device
        self._encoder: nn.Module = copy.deepcopy(parts.trainer.encoder).eval().requires_grad_(False).to(self._device)
        head = parts.head.rows if arrived is None else arrived.rows
        masks = parts.scenario.evaluated(parts.evaluation.split)[1]
        self._head = head.to(self._device, copy=True)
        self._masks = (masks if arrived is None else masks & arrived.known).to(self._device)

    def slope(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The gradient of Σ_t (mean entropy of the predictions for task t's images), one task after the other."""
        learning = self._loaded(weights)
        batch = batches.on_device(next(self._images), self._device)
        images = batches.to_images(batch, self._parts.backbone.transform)
        for task in batch.groups.unique().tolist():
            with self._parts.devices.autocast():
                features = self._encoder(images[batch.groups == task])
            logits = functional.linear(functional.normalize(features.float(), dim=1), self._head)
            entropy(logits[:, self._masks[task]]).backward()
        return {name: torch.zeros_like(at) if at.grad is None else at.grad for name, at in learning.items()}

    def _loaded(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the model that have these weights now, without a gradient yet."""
        if weights.keys() == {"head"}:
            self._head = weights["head"].to(self._device).requires_grad_()
            return {"head": self._head}
        own = dict(self._encoder.named_parameters())
        with torch.no_grad():
            for name, values in weights.items():
                own[name].copy_(values)
        for name in weights:
            own[name].requires_grad_().grad = None
        return {name: own[name] for name in weights}


def entropy(logits: Tensor) -> Tensor:
    """The mean entropy of the predictions that (B, C) logits stand for."""
    logarithms = functional.log_softmax(logits, dim=1)
    return -(logarithms.exp() * logarithms).sum(dim=1).mean()


def _images(parts: Parts, merger: AdaMerging, tasks: int) -> Iterator[batches.Batch]:
    samples, _ = parts.scenario.evaluated(parts.evaluation.split)
    order = Draws(samples, tasks, merger.batch_size, merger.steps, parts.seed)
    return iter(batches.loader(samples, order, parts.backbone.transform, parts.devices.workers))


class Draws(batches.Order):
    """Images of each of the first tasks for every step, drawn from seed, number of tasks, task and step.

    Args:
        samples: The images; their groups are their tasks.
        tasks: How many tasks have arrived.
        batch_size: Images of each task in a step; all, where a task has fewer.
        steps: Number of steps.
        seed: Of the run.
    """

    def __init__(self, samples: Samples, tasks: int, batch_size: int, steps: int, seed: int) -> None:
        self._of_tasks = [(samples.groups == task).nonzero().flatten() for task in range(tasks)]
        self._batch_size, self._steps, self._seed = batch_size, steps, seed
        self.most_images = sum(min(batch_size, len(positions)) for positions in self._of_tasks)

    def __len__(self) -> int:
        return self._steps

    def __iter__(self) -> Iterator[batches.Request]:
        for step in range(self._steps):
            drawn = torch.cat([self._drawn(task, step) for task in range(len(self._of_tasks))])
            yield batches.Request(drawn, None, len(drawn))

    def _drawn(self, task: int, step: int) -> Tensor:
        place = seeds.generator(self._seed, len(self._of_tasks), "adaptation", task, step)
        order = torch.randperm(len(self._of_tasks[task]), generator=place)
        return self._of_tasks[task][order[: self._batch_size]]
