"""The features of one class's images for several models of a run, in two dimensions."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from torch import Tensor

from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.merge_path import merge_path
from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.analyses.selection import has_all_parts
from cl_bench.analyses.source import Record

WANTED = "sequential with merger=magmax, and cmm with all parts, each with one λ and two tasks at least"
_MOST_IMAGES = 150


def wants(record: Record) -> bool:
    """Whether the analysis makes sense for a run, see `WANTED`."""
    choices = record["choices"]
    known = (choices["trainer"], choices["merger"]) in (("sequential", "magmax"), ("cmm", "cmm"))
    return known and has_all_parts(record) and record["scalings"] is None and len(record["training"]) > 1


def compute(run: OpenedRun) -> dict[str, Any]:
    """Embeds test images of the first class of the first task, encoded by θ₀, θ_1, θ_T and the last merged model."""
    extractor, experience = FeatureExtractor(run.parts), run.parts.scenario.streams["test"][0]
    label = experience.classes_in_this_experience[0]
    positions = np.flatnonzero(experience.samples.labels.numpy() == label)[:_MOST_IMAGES]
    *_, last = merge_path(run)
    models = {
        "pre-trained": run.parts.pretrained,
        "task 1": run.finetuned[0],
        f"task {len(run.finetuned)}": last.finetuned,
        "merged": last.refined,
    }
    features = torch.stack([extractor.features(weights, experience.samples)[positions] for weights in models.values()])
    names = [name for labels in run.parts.scenario.labels for name in labels.class_names]
    return {
        "units": {"points": "arbitrary units of t-SNE"},
        "class": names[label],
        "images": len(positions),
        "points": dict(zip(models, embedded(features, run.parts.seed).tolist(), strict=True)),
    }


def embedded(features: Tensor, seed: int) -> NDArray[np.float32]:
    """Embeds (models, images, D) features as (models, images, 2) points, by one t-SNE of all of them, normalized."""
    models, images, dimensions = features.shape
    together = torch.nn.functional.normalize(features, dim=2).reshape(-1, dimensions).numpy()
    perplexity = min(30.0, (len(together) - 1) / 3)  # t-SNE's own advice for few points
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed % 2**32)
    points: NDArray[np.float32] = tsne.fit_transform(together)
    return points.reshape(models, images, 2)
