"""What all scenarios share: streams of experiences, as an Avalanche benchmark, and the classes of the head."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from avalanche.benchmarks import CLScenario, EagerCLStream
from avalanche.benchmarks.scenarios.dataset_scenario import DatasetExperience
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.data_attribute import DataAttribute
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from torch import Tensor

from cl_bench.images.files import refreshed
from cl_bench.images.images import ImageDataset, Pixels
from cl_bench.images.prepared import prepare
from cl_bench.images.samples import Samples


class Labels(NamedTuple):
    """The class names and prompts of one data set, whose rows stand together in the head."""

    class_names: tuple[str, ...]
    prompts: tuple[str, ...]


class Experience(DatasetExperience):  # type: ignore[misc]  # Avalanche has no types
    """The images and classes of one task.

    `samples` is the fast way to the images; `dataset` has the same images as an Avalanche data set.

    Attributes:
        name: What arrives, for people: the classes, the domain or the data set.
        samples: The images.
        class_masks: (groups, C) bool; an image of group g is classified among the classes of row g.
        epochs: Passes over the images; None where the scenario does not set them.
    """

    def __init__(
        self, name: str, samples: Samples, class_masks: Tensor, task_label: int = 0, epochs: int | None = None
    ) -> None:
        attributes = [
            DataAttribute(samples.targets, "targets"),
            DataAttribute(ConstantSequence(task_label, len(samples)), "targets_task_labels", use_in_getitem=True),
        ]
        data = TaskAwareSupervisedClassificationDataset([samples], data_attributes=attributes)
        super().__init__(dataset=data)
        self.name = name
        self.samples = samples
        self.class_masks = class_masks
        self.epochs = epochs
        self.classes_in_this_experience = sorted(set(samples.targets))


class Scenario(CLScenario):  # type: ignore[misc]  # Avalanche has no types
    """Streams of experiences: `train_stream`, `test_stream` and, where a share is set aside, `validation_stream`.

    Experience i of every stream is task i. In all streams a label is the number of a row of the head.

    Attributes:
        kind: What a task brings, for the names of runs; None: the class's name.
        datasets: The data sets that the images come from, in the order of their rows of the head.
        labels: The classes of the head, data set by data set, in the order of their numbers.
        headline: Path of the number in a result that is the scenario's headline.
        one_label_space: Whether the model has to tell the classes of all tasks apart. It does not where every task is a
            data set with its own labels.
    """

    kind: str | None = None
    headline: str = "accuracy.task_agnostic"
    one_label_space: bool = True

    def __init__(
        self,
        datasets: Sequence[ImageDataset],
        train: list[Experience],
        test: list[Experience],
        validation: list[Experience] | None = None,
    ) -> None:
        streams = {"train": train, "test": test, "validation": validation}
        super().__init__([EagerCLStream(name, stream) for name, stream in streams.items() if stream])
        self.datasets = tuple(datasets)
        self.labels = tuple(Labels(data.class_names, data.prompts) for data in datasets)

    def prepare(self, size: int, folder: Path) -> None:
        """Decodes and shrinks images that lie in files, once, and reads them from that cache from now on.

        Args:
            size: Side in pixels of the square that the backbone reads.
            folder: Folder of prepared data sets.

        Raises:
            UserError: An image is missing or damaged.
        """
        self._read_from([prepare(data, size, folder) for data in self.datasets], size)

    def look_at_files(self, folder: Path) -> None:
        """Reads images from the files as they are now, whatever an earlier run of this process has found there.

        Args:
            folder: Folder of prepared data sets, where the SHA-256 of files are kept, too.
        """
        self._read_from([refreshed(data, folder) for data in self.datasets], None)

    def _read_from(self, ready: Sequence[ImageDataset], size: int | None) -> None:
        sources: dict[int, Pixels] = {}
        for old, new in zip(self.datasets, ready, strict=True):
            sources |= {id(old.train.pixels): new.train.pixels, id(old.test.pixels): new.test.pixels}
        for stream in self.streams.values():
            for experience in stream:
                experience.samples.replace(sources, size)
        self.datasets = tuple(ready)

    def joint(self) -> Experience:
        """All training images as one task; an image is classified among the same classes as in evaluation."""
        masks = [experience.class_masks[0] for experience in self.train_stream]
        spaces = [torch.stack(masks).any(dim=0)] if self.one_label_space else masks
        groups = [0 if self.one_label_space else i for i in range(len(masks))]
        samples = Samples.concatenate((experience.samples for experience in self.train_stream), groups)
        return Experience("all tasks", samples, torch.stack(spaces))

    def evaluated(self, split: str) -> tuple[Samples, Tensor]:
        """The images of a whole stream, with their tasks as groups, and the (T, C) masks of the tasks' classes."""
        stream = self.streams[split]
        samples = Samples.concatenate((experience.samples for experience in stream), range(len(stream)))
        return samples, torch.cat([experience.class_masks for experience in stream])

    def identity(self) -> dict[str, Any]:
        """Plain data that differ whenever the training stream does: its images, their order and their labels."""
        digest = hashlib.sha256(json.dumps(self.labels).encode())
        data = [dataset.identity for dataset in self.datasets]
        for experience in self.train_stream:
            for array in (experience.samples.rows, experience.samples.labels.numpy()):
                digest.update(array.tobytes())
            digest.update(experience.class_masks.numpy().tobytes())
        epochs = [experience.epochs for experience in self.train_stream]
        identity = {"tasks": len(self.train_stream), "data": data, "stream": digest.hexdigest()}
        return {**identity, "epochs": epochs} if any(epochs) else identity
