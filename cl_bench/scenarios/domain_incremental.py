"""Domain-incremental: every task brings the same classes in another domain."""

from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, InstanceOf

from cl_bench.images.images import ImageDataset, Images
from cl_bench.images.samples import Samples
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import order, validation
from cl_bench.scenarios.scenario import Experience, Scenario


class DomainIncremental(Scenario):
    """One task per domain; every image is classified among all classes, in training and in evaluation.

    Args:
        dataset: The images, which have domains.
        domain_order: The order in which domains arrive, see `order.Order`.
        validation_share: Share of each class's training images in each domain that is set aside.

    Raises:
        UserError: The data set has no domains, or the order is no permutation of them.
    """

    kind = "domain-incremental"

    def __init__(
        self,
        dataset: InstanceOf[ImageDataset],
        domain_order: order.Order = None,
        validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        if not dataset.domain_names:
            raise UserError(f"{dataset.name} has no domains; scenario=class_incremental learns class by class.")
        arrival = order.resolve(domain_order, dataset.domain_names, dataset.name, "domain_order")
        strata = _domains(dataset.train) * len(dataset.class_names) + dataset.train.labels
        kept, aside = validation.split(strata, validation_share)
        super().__init__(
            [dataset],
            train=_experiences(dataset, dataset.train, kept, arrival),
            test=_experiences(dataset, dataset.test, np.arange(len(dataset.test.labels)), arrival),
            validation=_experiences(dataset, dataset.train, aside, arrival) if validation_share else None,
        )


def _experiences(dataset: ImageDataset, images: Images, positions: np.ndarray, arrival: list[int]) -> list[Experience]:
    every_class = torch.ones(1, len(dataset.class_names), dtype=torch.bool)
    return [
        Experience(
            dataset.domain_names[domain],
            Samples.select(images, positions[_domains(images)[positions] == domain]),
            every_class,
        )
        for domain in arrival
    ]


def _domains(images: Images) -> NDArray[np.int64]:
    assert images.domains is not None  # a data set with domain names has them
    return images.domains
