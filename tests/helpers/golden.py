"""Golden numbers: what trainers, mergers and the way of an image compute, and by which version of their formula.

Results are found again by versions (`cl_bench.runtime.source_code`), so a formula may not change while its version
stays. When one has been changed on purpose, raise the version that the failing test names, and then

    python -m tests.helpers.golden

writes the new numbers to `golden.json`. It replaces none of the same version. An entry keeps the settings that it was
computed with: a default may change, which configurations and so fingerprints tell, without the formula.

All is in double precision, from numbers that are the same on every machine.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from cl_bench import mergers, trainers
from cl_bench.backbones import TinyClip
from cl_bench.heads import zero_shot
from cl_bench.heads.zero_shot import zero_shot_head
from cl_bench.images import batches, prepared, transforms
from cl_bench.images.resizing import resize_short_side
from cl_bench.images.transforms import ImageTransform, draw_crops
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import seeds
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.instantiate import instantiate
from cl_bench.runtime.source_code import code_of
from cl_bench.trainers import Given
from tests.conftest import ROOT
from tests.helpers.small import SmallEncoder, optimization, scenario
from tests.mergers.matrix_models import SHAPES

FILE = Path(__file__).with_name("golden.json")
TOLERANCE = {"image": 3e-4}  # what is computed in single precision, and rounded to gray levels
_SEED, _TASKS = 3, 3
_STREAM = scenario(tasks=_TASKS, per_class=5)
_GIVEN = {"scaling": 0.7, "beta": 0.5}  # of mergers that have no default
_SETTINGS = {  # that fit small models, in which all of a formula counts
    "trainer/cmm": {"refinement_lr": 1e-3},
    "trainer/l2sp": {"strength": 0.5, "anchor": "previous"},
    "trainer/lora": {"rank": 2, "targets": ["self_attn", "linear1", "linear2"]},
    "trainer/replay": {"buffer_images": 9},
    "merger/by_name": {
        "rules": [
            {"match": "*.mlp.*", "merger": {"_target_": "cl_bench.mergers.MagMax", "scaling": 0.7}},
            {"match": "*embedding", "scaling": 0.5},
        ]
    },
    "merger/dc_merge": {"density": 0.2},
    "merger/iso_cts": {"common_space_fraction": 0.5},
    "merger/pcb": {"density": 0.3},
}
_TRAIN_NOTHING = {"trainer/zero_shot", "trainer/imported", "trainer/finished", "trainer/ranpac"}


class Golden(NamedTuple):
    """What was computed, with what, by which version of it."""

    settings: dict[str, Any]
    versions: list[list[Any]]
    numbers: list[list[float]]


def names() -> list[str]:
    """Of all that has golden numbers."""
    choices = [
        f"{group}/{path.stem}"
        for group in ("trainer", "merger")
        for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
    ]
    return [*(name for name in choices if name not in _TRAIN_NOTHING), *_IMAGES]


def computed(name: str, kept: Mapping[str, Any] | None = None) -> Golden:
    """Computes the numbers of one name, with the settings of the entry that is kept, if there is one."""
    group, _, choice = name.partition("/")
    if group == "image":
        versions, compute = _IMAGES[name]
        return Golden({}, versions(), compute())
    settings = _settings(group, choice) if kept is None else kept["settings"]
    versions = code_of({group: settings}, [group])["versions"]
    compute = _trained if group == "trainer" else _merged
    return Golden(settings, [pair for where in sorted(versions) for pair in versions[where]], compute(settings))


def differs(name: str, numbers: list[list[float]], kept: list[list[float]]) -> bool:
    """Whether these are other numbers, or the same up to the last bits of another machine."""
    tolerance = TOLERANCE.get(name.partition("/")[0], 1e-8)
    if [len(row) for row in numbers] != [len(row) for row in kept]:
        return True
    return any(
        abs(one - other) > tolerance * max(map(abs, row))
        for mine, row in zip(numbers, kept, strict=True)
        for one, other in zip(mine, row, strict=True)
    )


def _settings(group: str, choice: str) -> dict[str, Any]:
    """Those of the YAML file, with what has no default; what comes from elsewhere is left to the constructor."""
    node = yaml.safe_load((ROOT / "conf" / group / f"{choice}.yaml").read_text(encoding="utf-8"))
    defaults = node.pop("defaults", ())
    if group == "merger":
        for default in (each for each in defaults if isinstance(each, Mapping)):
            node["of"] = {**_settings(group, *default.values()), **node.get("of", {})}
    node = {**node.get(group, node), **_SETTINGS.get(f"{group}/{choice}", {})}
    return {
        key: _GIVEN[key] if value == "???" else value for key, value in node.items() if not str(value).startswith("${")
    }


def _summary(tensors: Iterable[Tensor]) -> list[float]:
    """Norm of all numbers together, and their products with two directions: any change of them changes one of these."""
    flat = torch.cat([tensor.detach().double().flatten() for tensor in tensors])
    norm = float(flat.norm())
    return [norm, *(float(flat @ direction / direction.norm()) for direction in _uniform(2, len(flat), seed=9))]


def _uniform(*shape: int, seed: int) -> Tensor:
    """Between -1 and 1, in double precision, the same ones everywhere."""
    return torch.as_tensor(2 * np.random.default_rng(seed).random(shape) - 1)


class _NearestPixels(ImageTransform):
    """Crops without resampling, in which the last bits of a machine would decide between gray levels."""

    def __call__(self, pixels: Tensor, crops: Tensor | None = None) -> Tensor:
        cropped = [
            image[top + torch.arange(self.size) * height // self.size][
                :, left + torch.arange(self.size) * width // self.size
            ]
            for image, (top, left, height, width) in zip(pixels, crops.tolist(), strict=True)
        ]
        return torch.stack(cropped).permute(0, 3, 1, 2).contiguous().float() / 255 - 0.5


_TRANSFORM = _NearestPixels(8, (0.5,) * 3, (0.5,) * 3)


def _encoder() -> nn.Module:
    encoder = SmallEncoder().double()
    for number, (name, parameter) in enumerate(encoder.named_parameters()):
        scale = 1 / parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 0.1
        values = scale * _uniform(*parameter.shape, seed=number)
        parameter.data.copy_(values + 1 if ".norm" in name and name.endswith("weight") else values)
    return encoder


def _trained(settings: Mapping[str, Any]) -> list[list[float]]:
    """After each task: the change of the weights, and each statistic beside them."""
    rows = nn.functional.normalize(_uniform(6, 5, seed=99), dim=1) * 10
    optim = optimization(epochs=2, batch_size=4, warmup_steps=2, label_smoothing=0.1)
    merger = mergers.CMM() if settings["_target_"].endswith("CMM") else mergers.EMA()
    keep = merger.requires if settings["_target_"].endswith("CMM") else _class(settings).leaves
    given = Given(_encoder(), rows, _TRANSFORM, optim, keep=keep)
    trainer = instantiate(settings, "trainer", given=given)
    pretrained = trainer.weights()
    running, weights, numbers = RunningMerge(merger, pretrained), pretrained, []
    for task, experience in enumerate(trainer.experiences(_STREAM)):
        start = {"pretrained": pretrained, "previous": weights, "merged": running.merged()}[trainer.starts_from]
        order = batches.TrainingOrder(experience.samples, 4, _SEED, task, optim.epochs)
        seeds.reseed(_SEED, task, "training")
        trainer.begin_task(start, experience, order.steps)
        runner = Devices(accelerator="cpu").trainer(optim.gradient_clip, [])
        runner.fit(trainer, batches.loader(experience.samples, order, _TRANSFORM, workers=0))
        weights, statistics = trainer.end_task()
        previous = running.merged()
        running.add(weights, statistics)
        if trainer.refines and task > 0:
            seeds.reseed(_SEED, task, "refinement")
            changed = trainer.refine(experience, previous, running.merged())
            numbers.append(_summary(changed[name] - running.merged()[name] for name in changed))
            running.restart({**running.merged(), **changed})
        trainer.remember(experience, weights, statistics)
        numbers.append(_summary(weights[name] - pretrained[name] for name in weights))
        numbers += [_summary(statistics[name].values()) for name in sorted(statistics)]
    return numbers


def _class(settings: Mapping[str, Any]) -> Any:
    return getattr(trainers, settings["_target_"].rpartition(".")[2])


def _merged(settings: Mapping[str, Any]) -> list[list[float]]:
    """Of the merged model: its weights, and the statistics of its normalization layer."""
    pretrained, *finetuned = (
        {name: 0.5 * _uniform(*shape, seed=100 * task + i) for i, (name, shape) in enumerate(SHAPES.items())}
        | {"bn.running_mean": _uniform(5, seed=task), "bn.running_var": _uniform(5, seed=50 + task).abs()}
        for task in range(_TASKS + 1)
    )
    merger = instantiate(settings, "merger")
    if merger.sees_test_images:
        merger.coefficients = lambda name, tasks: torch.linspace(0.2, 0.4, tasks) * (1 + len(name) % 3)
    running = RunningMerge(merger, pretrained, 1000, "average")
    for task, weights in enumerate(finetuned):
        running.add(weights, {key: _statistic(key, pretrained, task) for key in merger.requires})
    merged = running.merged_for(1) if merger.per_task else running.merged()
    return [
        _summary(merged[name] - pretrained[name] for name in SHAPES),
        _summary(merged[name] for name in merged if name not in SHAPES),
    ]


def _statistic(key: str, pretrained: Mapping[str, Tensor], task: int) -> dict[str, Tensor]:
    drawn = {
        name: _uniform(*tensor.shape, seed=1000 * (task + 1) + i) for i, (name, tensor) in enumerate(pretrained.items())
    }
    if key != "grams":
        return {name: 1e-3 * tensor.square() for name, tensor in drawn.items() if name in SHAPES}
    return {name: tensor.T @ tensor + torch.eye(tensor.shape[1]) for name, tensor in drawn.items() if tensor.dim() == 2}


def _pictures() -> Tensor:
    """(4, 40, 56, 3) uint8."""
    smooth = nn.functional.interpolate(_uniform(4, 3, 10, 14, seed=1), scale_factor=4, mode="bilinear")
    return (127 + 100 * smooth).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _transformed() -> list[list[float]]:
    """In training, then in evaluation, by both ways."""
    pictures, numbers = _pictures(), []
    draws = draw_crops(4, torch.Generator().manual_seed(_SEED))
    boxes = transforms.crop_boxes(torch.tensor([[40, 56]] * 4), draws)
    for resampling in ("batched", "pillow"):
        transform = ImageTransform(32, (0.5, 0.4, 0.6), (0.2, 0.3, 0.25), resampling)
        numbers += [_summary([transform(pictures, crops)]) for crops in (boxes, None)]
        numbers.append(_summary([transform.squares([picture.numpy() for picture in pictures], draws)]))
    return [[float(number) for number in boxes.flatten()], *numbers]


def _prepared() -> list[list[float]]:
    return [_summary([torch.from_numpy(resize_short_side(picture.numpy(), 32)) for picture in _pictures()])]


def _head() -> list[list[float]]:
    return [_summary([zero_shot_head(TinyClip(), ("digit 3", "star"), ("a photo of a {}.", "a red {} on black"))])]


_IMAGES = {
    "image/transform": (lambda: [["transforms.VERSION", transforms.VERSION]], _transformed),
    "image/prepared": (lambda: [["prepared._FORMAT", prepared._FORMAT]], _prepared),
    "image/head": (
        lambda: [["zero_shot._SCHEMA", zero_shot._SCHEMA], ["weights", TinyClip().text_identity["weights"][:16]]],
        _head,
    ),
}


def main() -> int:
    """Writes the file anew, but for numbers that differ though their version does not."""
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    after, refused = {}, []
    for name in names():
        kept = before.get(name)
        now = computed(name, kept)
        if kept is not None and kept["versions"] == now.versions:
            after[name] = kept
            refused += [name] if differs(name, now.numbers, kept["numbers"]) else []
        else:
            after[name] = now._asdict()
            print(f"{name}: written")
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in after.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    for name in refused:
        print(
            f"{name}: other numbers, but no other version of {after[name]['versions']}; raise it first", file=sys.stderr
        )
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
