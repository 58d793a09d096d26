"""`dataset.shots=16`: any data set with that many training images of each class.

The function that reads a data set does not see these settings, so a user's own has them, too.
"""

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from cl_bench.images import shots
from cl_bench.images.images import ImageDataset
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.runtime.instantiate import validated

log = logging.getLogger(__name__)

_SETTINGS = {"shots": Annotated[int, Field(ge=1)] | None, "shots_seed": Annotated[int, Field(ge=0)]}


def check(config: Mapping[str, Any]) -> None:
    """Refuses the setting where no data set would heed it: the scenario reads its images itself."""
    number, scenario = (config.get("dataset") or {}).get("shots"), config["scenario"]
    if number is not None and not any(isinstance(scenario.get(name), Mapping) for name in ("dataset", "datasets")):
        raise UserError(f"dataset.shots={number} means nothing to this scenario, which reads its images by itself.")


def separate(
    node: Mapping[str, Any], where: str, dataset: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[int, int] | None]:
    """Takes the two settings out of those of a data set.

    Args:
        node: The settings of one data set.
        where: Its place in the configuration, for messages.
        dataset: The group `dataset`, whose settings hold where the node does not say otherwise.

    Returns:
        The settings of the function that reads it; number of images of each class and seed, None for all images.

    Raises:
        UserError: A setting does not fit.
    """
    said = {
        name: validated(
            node.get(name, dataset.get(name, 0 if name == "shots_seed" else None)),
            kind,
            f"{where if name in node else 'dataset'}.{name}",
        )
        for name, kind in _SETTINGS.items()
    }
    whole = {name: value for name, value in node.items() if name not in _SETTINGS}
    return whole, None if said["shots"] is None else (said["shots"], said["shots_seed"])


def draw(dataset: ImageDataset, number_and_seed: tuple[int, int]) -> ImageDataset:
    """Draws the training images; warns of classes that have fewer."""
    drawn = shots.draw(dataset, *number_and_seed)
    if distributed.is_main() and (short := shots.short_classes(drawn)):
        log.warning(
            "%s: %d classes have fewer than %d training images, and keep all of them: %s",
            *(dataset.name, len(short), number_and_seed[0], shortened(short)),
        )
    return drawn
