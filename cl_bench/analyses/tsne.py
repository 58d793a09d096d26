"""Where the images of one class lie for the models of a run, in two dimensions."""

from typing import Any

import numpy as np
import torch
from sklearn.manifold import TSNE
from torch import Tensor

from cl_bench.analyses.encoding import Encoding
from cl_bench.analyses.merge_path import merge_path
from cl_bench.analyses.run import Run
from cl_bench.analyses.source import Result, has_all_parts

WANTED = "sequential with merger=magmax, and cmm with all parts, each with one λ and two tasks at least"
_MOST_IMAGES = 150


def wants(record: Result) -> bool:
    """See `WANTED`."""
    choices = record["choices"]
    known = (choices["trainer"], choices["merger"]) in (("sequential", "magmax"), ("cmm", "cmm"))
    return known and has_all_parts(record) and record["scalings"] is None and len(record["training"]) > 1


def compute(run: Run) -> dict[str, Any]:
    """Test images of the first class of the first task, as seen by θ₀, θ_1, θ_T and the last merged model."""
    encoding, experience = Encoding(run.parts), run.parts.scenario.streams["test"][0]
    label = experience.classes_in_this_experience[0]
    positions = np.flatnonzero(experience.samples.labels.numpy() == label)[:_MOST_IMAGES]
    *_, last = merge_path(run)
    models = {
        "pre-trained": run.parts.pretrained,
        "task 1": run.finetuned[0],
        f"task {len(run.finetuned)}": last.own,
        "merged": last.refined,
    }
    features = torch.stack([encoding.features(weights, experience.samples)[positions] for weights in models.values()])
    names = [name for labels in run.parts.scenario.labels for name in labels.class_names]
    return {
        "units": {"points": "arbitrary units of t-SNE"},
        "class": names[label],
        "images": len(positions),
        "points": dict(zip(models, embedded(features, run.parts.seed).tolist(), strict=True)),
    }


def embedded(features: Tensor, seed: int) -> np.ndarray:
    """(models, images, 2) from (models, images, D): one t-SNE of all normalized features together, from a seed."""
    models, images, dimensions = features.shape
    together = torch.nn.functional.normalize(features, dim=2).reshape(-1, dimensions).numpy()
    perplexity = min(30.0, (len(together) - 1) / 3)  # t-SNE's own advice for few points
    points = TSNE(perplexity=perplexity, init="pca", random_state=seed % 2**32).fit_transform(together)
    return points.reshape(models, images, 2)
