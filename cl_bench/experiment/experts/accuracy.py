"""Each expert's own accuracy on the images of its task: measured once, whatever the order, the merger and the run.

It is the accuracy e[j] that a merged model is held against. Among all classes of a scenario it depends on which classes
there are, but not on their order: so classes are put into an order that follows from the head's rows alone.
"""

import contextlib
import hashlib
import logging
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cl_bench.evaluation import Counts
from cl_bench.experiment.state import Run
from cl_bench.images.images import Pixels
from cl_bench.images.samples import Samples
from cl_bench.runtime import distributed, source_code
from cl_bench.scenarios import Scenario
from cl_bench.store import measurements
from cl_bench.trainers import Weights

log = logging.getLogger(__name__)

_COUNTS = ("agnostic_correct", "aware_correct", "total")


def own_accuracy(run: Run, task: int, weights: Weights) -> Counts:
    """Counts what an expert gets right of its task's images; other tasks have no images in these counts.

    All ranks take part.

    Args:
        run: The run; its meter counts what is measured.
        task: The task's number, from 0.
        weights: θ_t, on rank 0.
    """
    folder, question = run.parts.store_dir / "experts", _Question(run, task)
    waiting = partial(log.info, "another run measures %s: waiting for it", run.parts.experts[task].task)

    def known() -> dict[str, Any] | None:
        return distributed.from_main(measurements.read(folder, question.of) if distributed.is_main() else None)

    if (found := known()) is None:
        with measurements.alone(folder, question.of, waiting) if distributed.is_main() else contextlib.nullcontext():
            if (found := known()) is None:
                found = question.answer(weights)
                if distributed.is_main():
                    measurements.write(folder, question.of, found)
    number = len(run.parts.scenario.test_stream)
    return Counts(
        *(torch.zeros(number, dtype=torch.int64).index_fill(0, torch.tensor([task]), found[name]) for name in _COUNTS)
    )


class _Question:
    """What is measured: an expert on its task's images, among the scenario's classes in an order of their own.

    Attributes:
        of: Plain data that differ whenever the answer may.
    """

    def __init__(self, run: Run, task: int) -> None:
        self._run = run
        parts = run.parts
        experience = parts.scenario.streams[parts.evaluation.split][task]
        order = canonical_order(parts.head.rows, experience.class_masks[0])
        place = torch.empty_like(order).scatter_(0, order, torch.arange(len(order)))
        self._head, self._mask = parts.head.rows[order], experience.class_masks[:, order]
        self._samples = Samples.concatenate([experience.samples], [0])
        self._samples.labels = place[self._samples.labels]
        self.of = {
            "measurement": "accuracy",
            "schema": 1,
            "expert": parts.experts[task].reference.content,
            "backbone": parts.backbone.identity,
            "code": source_code.code_of(run.config, ("backbone",)),
            "head": _sha256(self._head),
            "images": _images(parts.scenario, self._samples),
            "selection": _sha256(torch.from_numpy(self._samples.rows), self._samples.labels, self._mask),
            "precision": parts.devices.precision,
            "device": parts.devices.kind,
        }
        if parts.devices.matmul_precision != "highest":
            self.of["matmul_precision"] = parts.devices.matmul_precision

    def answer(self, weights: Weights) -> dict[str, Any]:
        """Evaluates the expert."""
        evaluator = self._run.parts.evaluator_of(self._head, self._samples, self._mask)
        with self._run.meter.stage("evaluation"):
            counts = evaluator(weights)
        return {name: int(getattr(counts, name)) for name in _COUNTS}


def canonical_order(head: Tensor, mask: Tensor) -> Tensor:
    """(C,) the head's rows, sorted by their bits; of rows that are equal, the task's comes first."""
    keys = [(row.numpy().tobytes(), not own) for row, own in zip(head.cpu(), mask.tolist(), strict=True)]
    return torch.tensor(sorted(range(len(keys)), key=keys.__getitem__))


def _images(scenario: Scenario, samples: Samples) -> list[list[str]]:
    """What images come from: data sets and splits, or else images that only their contents name."""
    known = {
        id(images.pixels): [data.identity, split]
        for data in scenario.datasets
        for split, images in (("train", data.train), ("test", data.test))
    }
    return [known.get(id(source)) or [_contents(source)] for source in samples.sources]


def _contents(source: Pixels) -> str:
    return _sha256(torch.from_numpy(source)) if isinstance(source, np.ndarray) else source.identity


def _sha256(*tensors: Tensor) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
