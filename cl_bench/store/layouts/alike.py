"""Models from files that different libraries wrote, in the layout of the one that they were fine-tuned from."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from cl_bench.runtime.errors import UserError, each
from cl_bench.store.layouts import clip
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

    Raises:
        UserError: Files cannot be read, or hold a name that their layout does not have; names up to ten of them.
    """

    def __init__(self, pretrained: Path, finetuned: Sequence[Path]) -> None:
        start, *others = each((pretrained, *finetuned), read_model)
        read = dict(zip(finetuned, others, strict=True))
        models = each(finetuned, lambda path: _like(path, read[path], start))
        missing = [clip.missing_parts(model, start) for model in models]
        nowhere = set.intersection(*missing) if missing else set()
        self._order = list(start)
        self.kept = {name: tensor for name, tensor in start.items() if name in nowhere}
        self.pretrained = {name: tensor for name, tensor in start.items() if name not in nowhere}
        self.finetuned = [
            {**model, **{name: start[name] for name in lacks - nowhere}}
            for model, lacks in zip(models, missing, strict=True)
        ]

    @property
    def kept_elements(self) -> int:
        """Parameters of θ₀ in what no model has."""
        return sum(tensor.numel() for tensor in self.kept.values() if tensor.is_floating_point())

    def whole(self, merged: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The merged model with what no model has, in the order of θ₀'s file, in memory of its own."""
        return {name: merged[name] if name in merged else self.kept[name].detach().clone() for name in self._order}


def _like(path: Path, model: Mapping[str, Tensor], start: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    try:
        return clip.like(model, start)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
