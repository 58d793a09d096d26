"""What every scenario is: streams of experiences, as an Avalanche benchmark, and the classes they speak of."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from avalanche.benchmarks import CLScenario, EagerCLStream
from avalanche.benchmarks.scenarios.dataset_scenario import DatasetExperience
from avalanche.benchmarks.utils.classification_dataset import TaskAwareSupervisedClassificationDataset
from avalanche.benchmarks.utils.data_attribute import DataAttribute
from avalanche.benchmarks.utils.flat_data import ConstantSequence
from torch import Tensor

from cl_bench.images.files import refreshed
from cl_bench.images.images import ImageDataset
from cl_bench.images.prepared import prepare
from cl_bench.images.samples import Samples


class Labels(NamedTuple):
    """Classes that get their rows of the head together: those of one data set."""

    class_names: tuple[str, ...]
    prompts: tuple[str, ...]


class Experience(DatasetExperience):
    """One task's images and classes.

    `samples` is the fast way to the images; `dataset` is the same as an Avalanche data set.

    Attributes:
        name: What arrives, for people: the classes, the domain or the data set.
        samples: The images.
        class_masks: (groups, C) bool; an image of group g is classified among the classes of row g.
        epochs: Passes over the images, where the scenario says so task by task.
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


class Scenario(CLScenario):
    """Streams of experiences: `train_stream`, `test_stream` and, where a share is set aside, `validation_stream`.

    Experience i of every stream is task i. Labels are the same numbers in all of them: rows of the head.

    Attributes:
        kind: What a task brings, in the names of runs; None: the class's name.
        datasets: Where the images come from, in the order of their rows of the head.
        labels: The classes of the head, data set by data set; class numbers count through.
        headline: Which number of a result is the scenario's headline, as a path into it.
        one_label_space: Whether all tasks' classes are told apart from each other. They are not where every task is a
            data set with labels of its own.
    """

    kind: ClassVar[str | None] = None
    headline: ClassVar[str] = "accuracy.task_agnostic"
    one_label_space: ClassVar[bool] = True

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
        """Has images that lie in files decoded and shrunk once, and reads them from that cache from now on.

        Args:
            size: Side of the square that the backbone reads, in pixels.
            folder: Where prepared data sets are kept.

        Raises:
            UserError: An image is missing or damaged.
        """
        self._read_from([prepare(data, size, folder) for data in self.datasets], size)

    def look_at_files(self, folder: Path) -> None:
        """Reads images from the files as they are now: what an earlier run of this process knows of them is forgotten.

        Args:
            folder: Where the SHA-256 of files are kept, which is that of prepared data sets.
        """
        self._read_from([refreshed(data, folder) for data in self.datasets], None)

    def _read_from(self, ready: Sequence[ImageDataset], size: int | None) -> None:
        sources = {}
        for old, new in zip(self.datasets, ready, strict=True):
            sources |= {id(old.train.pixels): new.train.pixels, id(old.test.pixels): new.test.pixels}
        for stream in self.streams.values():
            for experience in stream:
                experience.samples.replace(sources, size)
        self.datasets = tuple(ready)

    def joint(self) -> Experience:
        """All training images as one task; each image is classified among the classes it is compared with at test."""
        masks = [experience.class_masks[0] for experience in self.train_stream]
        spaces = [torch.stack(masks).any(dim=0)] if self.one_label_space else masks
        groups = [0 if self.one_label_space else i for i in range(len(masks))]
        samples = Samples.concatenate((experience.samples for experience in self.train_stream), groups)
        return Experience("all tasks", samples, torch.stack(spaces))

    def evaluated(self, split: str) -> tuple[Samples, Tensor]:
        """The images of a whole stream with their task as group, and the (T, C) classes of each task."""
        stream = self.streams[split]
        samples = Samples.concatenate((experience.samples for experience in stream), range(len(stream)))
        return samples, torch.cat([experience.class_masks for experience in stream])

    def identity(self) -> dict[str, Any]:
        """Plain data that differ whenever the training stream does: images, their order of arrival, labels."""
        digest = hashlib.sha256(json.dumps(self.labels).encode())
        data = [dataset.identity for dataset in self.datasets]
        for experience in self.train_stream:
            for array in (experience.samples.rows, experience.samples.labels.numpy()):
                digest.update(array.tobytes())
            digest.update(experience.class_masks.numpy().tobytes())
        epochs = [experience.epochs for experience in self.train_stream]
        own = {"epochs": epochs} if any(epochs) else {}
        return {"tasks": len(self.train_stream), "data": data, "stream": digest.hexdigest(), **own}
