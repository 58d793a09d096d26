"""Models from files that different libraries wrote, in the layout of the one that they were fine-tuned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from cl_bench.runtime.errors import UserError, each
from cl_bench.store.layouts import clip, lora
from cl_bench.store.layouts.converted import Converted, Place
from cl_bench.store.layouts.files import is_adapter
from cl_bench.store.layouts.reader import explained
from cl_bench.store.models import read_model


class Models:
    """θ₀ and the models to merge, read from their files; if all share a layout, they are read as they are.

    A model may lack the projection or the text tower: a `CLIPVisionModel` has neither. Parameters that some models lack
    come from θ₀. Those that all models lack are no part of the merge, which would otherwise count them as trained.

    Args:
        pretrained: The file of θ₀, which decides the layout.
        finetuned: The files of the models.

    Attributes:
        pretrained: θ₀, without the parameters that no model has.
        finetuned: The models, with the same names.
        kept: The parameters of θ₀ that no model has.
        left_out: For some files, the names in it that are no part of a CLIP model, such as a classifier's.

    Raises:
        UserError: Files cannot be read, or hold a name that their layout does not have; names up to ten of them.
    """

    def __init__(self, pretrained: Path, finetuned: Sequence[Path]) -> None:
        start, *others = each((pretrained, *finetuned), lambda path: None if is_adapter(path) else read_model(path))
        if start is None:
            raise UserError(f"pretrained={pretrained} is a LoRA expert, a change of θ₀; name the file of θ₀.")
        read = dict(zip(finetuned, others, strict=True))
        models = each(finetuned, lambda path: _like(path, read[path], start))
        self.left_out = {path: names for path in finetuned if (names := _left_out(read[path], start))}
        missing = [clip.missing_parts(model, start) for model in models]
        nowhere = set.intersection(*missing) if missing else set()
        self._order = list(start)
        self.kept = {name: tensor for name, tensor in start.items() if name in nowhere}
        self.pretrained = {name: tensor for name, tensor in start.items() if name not in nowhere}
        self.finetuned = [
            Converted(model, {name: Place((name,)) for name in model}, {name: start[name] for name in lacks - nowhere})
            if lacks - nowhere
            else model
            for model, lacks in zip(models, missing, strict=True)
        ]

    @property
    def kept_elements(self) -> int:
        """Parameters of θ₀ in what no model has."""
        return sum(tensor.numel() for tensor in self.kept.values() if tensor.is_floating_point())

    def statistic(self, path: Path) -> Mapping[str, Tensor]:
        """What training left behind of a model's parameters, by θ₀'s names.

        A run writes those of its image tower without a prefix. θ₀ may be a whole model of open_clip.

        Raises:
            UserError: The file cannot be read.
        """
        tensors, found = read_model(path), clip.find(self.pretrained)
        if found is None or found.layout != "open_clip" or not tensors.keys().isdisjoint(self.pretrained):
            return tensors
        return {f"{found.prefix}visual.{name}": tensor for name, tensor in tensors.items()}

    def whole(self, merged: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The merged model with what no model has, in the order of θ₀'s file, in memory of its own."""
        return {name: merged[name] if name in merged else self.kept[name].detach().clone() for name in self._order}


def _like(path: Path, model: Mapping[str, Tensor] | None, start: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if model is None:
        return _expert(path, start)
    with explained(path):
        return clip.like(model, start)


def _left_out(model: Mapping[str, Tensor] | None, start: Mapping[str, Tensor]) -> list[str]:
    if model is None or model.keys() == start.keys() or (found := clip.find(model)) is None:
        return []
    return clip.places(found, model)[1]


def _expert(folder: Path, start: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The image tower of a LoRA expert, in the layout of θ₀; the projection only if the expert has changed it."""
    whole = clip.to_open_clip(start)
    tower = {name.removeprefix("visual."): tensor for name, tensor in whole.items() if name.startswith("visual.")}
    expert = lora.read(folder, tower)
    names = [name for name in tower if name != "proj" or name in expert.changed]
    return clip.laid_out(Converted(expert.weights, {f"visual.{name}": Place((name,)) for name in names}), start)
