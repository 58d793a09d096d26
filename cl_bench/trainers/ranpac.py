"""Random projections and ridge regression."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated, ClassVar, TypeAlias, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.backbones.features import features_of
from cl_bench.runtime import distributed, seeds
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights

_RIDGES = 10.0 ** torch.arange(-8, 9, dtype=torch.float64)
_AT_ONCE = 4096  # images
_FITTED = 0.8  # share of a task's images; the others choose the ridge

_Made: TypeAlias = Callable[[Tensor], Tensor]


class RanPAC(TaskTrainer):
    """Learns a linear classifier of randomly projected features of θ₀, in closed form; nothing is trained.

    h = relu(f P), with f (D,) the features of an image without crops and P (D, M) standard normal. With the sums over
    all images of all tasks so far, G = Σ hᵀ h and Q = Σ hᵀ onehot(label), the classifier is

        W = (G + ridge · I)⁻¹ Q

    The ridge is one of 10⁻⁸ … 10⁸: the one with the smallest squared error on a fifth of the present task's images, in
    a regression on the other four fifths of them. A task's weights are the (C, M) head Wᵀ, under the name `head`; later
    tasks need the features of earlier ones, which are stored.

    Source: McDonnell et al. 2023, arXiv 2307.02251. Differs from the publication in: the encoder is not adapted on the
    first task; double precision, where the authors' code solves in single precision.

    Args:
        given: What every trainer is given.
        projection_size: M. The run's seed decides P, and which images choose the ridge.
        starts_from: Without effect.

    Raises:
        UserError: The head is one that has all classes from the beginning.
    """

    trains: ClassVar[bool] = False
    memory: ClassVar[frozenset[str]] = frozenset({"features"})
    leaves: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        given: Given,
        projection_size: Annotated[int, Field(ge=1)] = 10_000,
        starts_from: StartsFrom = "previous",
    ) -> None:
        if not given.head_arrives:
            raise UserError("trainer=ranpac makes a classifier as classes arrive: leave out head=zero_shot.")
        classes, width = given.head.shape
        projected = Projected(given.encoder, width, projection_size, given.seed)
        head = torch.zeros(classes, projection_size, dtype=given.head.dtype)
        super().__init__(replace(given, encoder=projected, head=head), starts_from)
        self._seed = given.seed
        self._seen = list[tuple[Tensor, Tensor]]()  # each task's features and labels

    def load(self, weights: Weights) -> None:
        """Does nothing: θ₀ stays as it is."""

    def weights(self) -> dict[str, Tensor]:
        """Copies the head to the CPU."""
        return {"head": self.head.cpu().clone()}

    def end_task(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Returns the head after the task, and the task's features, (N, D), and labels."""
        features, labels = self._features(), self._samples.labels
        place = seeds.generator(self._seed, len(self._seen), "ridge")
        ridge = chosen_ridge(features, labels, self._hidden, self._wanted, place)
        every = [torch.cat(parts) for parts in zip(*self._seen, (features, labels), strict=True)]
        head = self._regression(every[0], every[1], ridge).T.to(self.head.dtype).cpu().contiguous()
        return {"head": head}, {"features": {"features": features, "labels": labels}}

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Keeps the features for later tasks."""
        self._seen.append((statistics["features"]["features"], statistics["features"]["labels"]))
        self.head.copy_(weights["head"])

    def _regression(self, features: Tensor, labels: Tensor, ridge: float) -> Tensor:
        """W, (M, C) in double precision; with fewer images than M, of images' inner products: W = Hᵀ (H Hᵀ + …)⁻¹ Y."""
        size = self.head.shape[1]
        if len(features) <= size:
            hidden = self._hidden(features)
            kernel = hidden @ hidden.T
            kernel.diagonal().add_(ridge)
            of_images: Tensor = torch.linalg.solve(kernel, self._wanted(labels))
            return hidden.T @ of_images
        gram, sums = _sums(_in_parts(features, labels, self._hidden, self._wanted))
        gram.diagonal().add_(ridge)
        found: Tensor = torch.linalg.solve(gram, sums)
        return found

    @property
    def _projected(self) -> "Projected":
        return cast(Projected, self.encoder)

    def _features(self) -> Tensor:
        """(N, D) on the CPU: all processes' shares, in the order of the images."""
        parts = features_of(
            self._projected.encoder.eval(),
            self._samples,
            self.transform,
            self.optimization.batch_size,
            None,
            self.device,
            nullcontext,
        )
        mine = torch.cat([features for features, _ in parts]).cpu()
        whole = mine.new_zeros(len(self._samples), mine.shape[1])
        whole[distributed.rank() :: distributed.world_size()] = mine
        return distributed.total(whole)

    def _hidden(self, features: Tensor) -> Tensor:
        """(N, M) in double precision."""
        return self._projected.project(features.to(self.device)).double()

    def _wanted(self, labels: Tensor) -> Tensor:
        return functional.one_hot(labels.to(self.device), len(self.head)).double()


class Projected(nn.Module):
    """An encoder whose features are projected at random.

    Args:
        encoder: Of (B, 3, size, size) images.
        width: D, of its features.
        size: M.
        seed: Of the projection.
    """

    projection: Tensor  # (D, M)

    def __init__(self, encoder: nn.Module, width: int, size: int, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        random = torch.randn(width, size, generator=seeds.generator(seed, "projection"))
        self.register_buffer("projection", random, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, M)."""
        return self.project(self.encoder(images))

    def project(self, features: Tensor) -> Tensor:
        """(N, M) = relu(features P)."""
        return functional.relu(features @ self.projection.to(features.dtype))


def chosen_ridge(features: Tensor, labels: Tensor, hidden: _Made, wanted: _Made, generator: torch.Generator) -> float:
    """The ridge whose regression on most of the images has the smallest squared error on the others.

    Args:
        features: (N, D) of one task.
        labels: (N,)
        hidden: Makes (n, M) of (n, D) features.
        wanted: Makes (n, C), one-hot, of (n,) labels.
        generator: Shuffles the images.
    """
    order = torch.randperm(len(features), generator=generator)
    number = max(1, int(_FITTED * len(order)))
    fitted, held_out = order[:number], order[number:] if len(order) > 1 else order
    parts = _in_parts(features[fitted], labels[fitted], hidden, wanted)
    # Whatever the ridge, one eigendecomposition will do: of the smaller of H Hᵀ and Hᵀ H.
    few = number <= hidden(features[:1]).shape[1]
    if few:
        inputs, targets = (torch.cat(each) for each in zip(*parts, strict=True))
        kernel = inputs @ inputs.T
    else:
        kernel, targets = _sums(parts)
    values, vectors = torch.linalg.eigh(kernel)
    right, values = vectors.T @ targets, values.clamp(min=0)[:, None]
    errors = values.new_zeros(len(_RIDGES))
    for others, truth in _in_parts(features[held_out], labels[held_out], hidden, wanted):
        left = (others @ inputs.T if few else others) @ vectors
        errors += torch.stack([((left @ (right / (values + ridge)) - truth) ** 2).sum() for ridge in _RIDGES.tolist()])
    return float(_RIDGES[int(errors.argmin())])


def _in_parts(features: Tensor, labels: Tensor, hidden: _Made, wanted: _Made) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields H and Y, (n, M) and (n, C), of so many images at once that a large task fits into memory."""
    for some, theirs in zip(features.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True):
        yield hidden(some), wanted(theirs)


def _sums(parts: Iterator[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Hᵀ H and Hᵀ Y, over all parts."""
    hidden, wanted = next(parts)
    gram, sums = hidden.T @ hidden, hidden.T @ wanted
    for more, theirs in parts:
        gram.addmm_(more.T, more)
        sums.addmm_(more.T, theirs)
    return gram, sums
