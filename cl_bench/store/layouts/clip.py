"""CLIP models in the layouts of open_clip and of Hugging Face's `transformers`: finds them among names, and converts.

In open_clip a whole model has `visual.…` for its image tower, and names without it for the rest; the image tower alone
has no prefix. Hugging Face has a `CLIPModel` with both towers, a `CLIPVisionModelWithProjection` with the image tower
and its projection, a `CLIPVisionModel` with the image tower alone, and a `CLIPForImageClassification` with a classifier
instead; `vision_model.` may be missing. Before all these names there may be one more prefix, as in Lightning's
checkpoints.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from torch import Tensor

from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.layouts.clip_names import from_hugging_face, to_hugging_face
from cl_bench.store.layouts.converted import Converted, Place

Layout = Literal["open_clip", "tower", "hugging_face"]
Part = Literal["image", "projection", "text"]

_PATCHES = "embeddings.patch_embedding.weight"
_LANDMARKS = (("conv1.weight", "class_embedding"), ("conv1.weight", "attnpool.positional_embedding"))
_THEIRS = ("vision_model.", "text_model.", "visual_projection.", "text_projection.", "logit_scale")
_POSITIONS = re.compile(r".*\.position_ids")  # just counted through
_SCALE = re.compile(r"(?:.+\.)?logit_(?:scale|bias)")
_HEAD = re.compile(r"(?:\w+\.)?(?:classifier|classification_head|head)\.(?:weight|bias)")


class Found(NamedTuple):
    """A CLIP model among names.

    Attributes:
        layout: `tower` is open_clip's image tower alone.
        prefix: What stands before all of its names; for whole models of open_clip, what stands before `visual.`.
    """

    layout: Layout
    prefix: str


def find(names: Collection[str]) -> Found | None:
    """The CLIP model among names; None if there is none.

    Raises:
        UserError: There are several.
    """
    own = [prefix for landmarks in _LANDMARKS for prefix in prefixes(names, landmarks)]
    theirs = {prefix.removesuffix("vision_model.") for prefix in prefixes(names, (_PATCHES,))}
    return only([*map(found_at, own), *(Found("hugging_face", prefix) for prefix in sorted(theirs))])


def prefixes(names: Collection[str], landmarks: Collection[str]) -> list[str]:
    """The prefixes under which all landmarks are among the names."""
    first = next(iter(landmarks))
    beginnings = [name.removesuffix(first) for name in names if name.endswith(first)]
    return [
        prefix
        for prefix in sorted(beginnings)
        if prefix[-1:] in ("", ".") and all(prefix + landmark in names for landmark in landmarks)
    ]


def found_at(prefix: str) -> Found:
    """open_clip's layout whose image tower has a prefix."""
    whole = prefix.endswith("visual.") and prefix[-8:-7] in ("", ".")
    return Found("open_clip", prefix.removesuffix("visual.")) if whole else Found("tower", prefix)


def only(found: Collection[Found]) -> Found | None:
    """The one that was found, if any.

    Raises:
        UserError: There are several.
    """
    if len(found) > 1:
        where = shortened(f"{one.prefix!r} ({one.layout.replace('_', ' ')})" for one in found)
        raise UserError(f"there are several image encoders, under {where}; save the one that is meant alone")
    return next(iter(found), None)


def places(found: Found, names: Iterable[str]) -> tuple[dict[str, Place], list[str]]:
    """Where the tensors of a CLIP model are: by open_clip's names, with `visual.` before the image tower.

    Returns:
        The places, and the names that are no part of the model: a classifier's, and the temperature beside a tower.
        Positions that are just counted through are passed over.

    Raises:
        UserError: A name is neither.
    """
    inside, left_out = dict[str, str](), list[str]()
    for name in names:
        own = _name_inside(found, name)
        if own is None:
            left_out += [name] * (not _POSITIONS.fullmatch(name))
        elif own in inside:
            raise UserError(f"{inside[own]!r} and {name!r} are the same parameter; save the one that is meant alone")
        else:
            inside[own] = name
    if found.layout != "hugging_face":
        return {own: Place((name,)) for own, name in inside.items()}, left_out
    own_places = from_hugging_face(inside)
    return {
        own: Place(tuple(inside[name] for name in place.names), place.how) for own, place in own_places.items()
    }, left_out


def part(name: str) -> Part:
    """The part of a CLIP model, with `visual.` before its image tower, that a tensor of open_clip's belongs to."""
    if name == "visual.proj":
        return "projection"
    return "image" if name.startswith("visual.") else "text"


def has_text_tower(found: Found, names: Iterable[str]) -> bool:
    """Whether a CLIP model has both towers.

    Raises:
        UserError: A name is no part of it.
    """
    return any(part(own) == "text" for own in places(found, names)[0])


def to_open_clip(tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A CLIP model, or part of one, with open_clip's names, and `visual.` before the image tower.

    Raises:
        UserError: The layout does not have a name, or there are several models.
    """
    found = find(tensors)
    return tensors if found is None else Converted(tensors, places(found, tensors)[0])


def like(tensors: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A model in the layout of another one; unchanged if it has that layout, or either is not a CLIP model.

    Raises:
        UserError: The layout does not have a name, or there are several models.
    """
    if tensors.keys() == pretrained.keys():
        return tensors
    given, wanted = find(tensors), find(pretrained)
    if given is None or wanted is None or (given == wanted and given.layout != "hugging_face"):
        return tensors
    if given.layout != "hugging_face" or wanted.layout != "hugging_face":
        return laid_out(Converted(tensors, places(given, tensors)[0]), pretrained)
    named = {_name_inside(given, name): Place((name,)) for name in tensors}
    return Converted(tensors, _spelled({name: place for name, place in named.items() if name}, wanted, pretrained))


def laid_out(model: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A model of open_clip, with `visual.` before the image tower, in the layout of another CLIP model.

    Raises:
        UserError: The layout does not have a name.
    """
    wanted = find(pretrained)
    if wanted is None:
        return model
    if wanted.layout == "hugging_face":
        return Converted(model, _spelled(to_hugging_face(model), wanted, pretrained))
    tower = "visual." if wanted.layout == "tower" else ""
    return Converted(model, {wanted.prefix + name.removeprefix(tower): Place((name,)) for name in model})


def missing_parts(tensors: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> set[str]:
    """Which tensors of θ₀ a CLIP model in its layout need not have: a projection or text tower that it is without.

    What is no part of a CLIP model is not needed either.
    """
    found = None if tensors.keys() == pretrained.keys() else find(pretrained)
    if found is None or find(tensors) is None:
        return set()
    parts = {name: part(own) for own, place in places(found, pretrained)[0].items() for name in place.names}
    there = {parts[name] for name in tensors if name in parts} | {"image"}
    return {name for name in pretrained.keys() - tensors.keys() if parts.get(name) not in there}


def _name_inside(found: Found, name: str) -> str | None:
    """A name without the prefix, as its layout has it in whole models; None for what is no part of the model."""
    if _POSITIONS.fullmatch(name) or _HEAD.fullmatch(name):
        return None
    if not name.startswith(found.prefix):
        if _SCALE.fullmatch(name):
            return None
        raise UserError(f"{name!r} is no part of the image encoder under {found.prefix!r}; save the encoder alone")
    own = name[len(found.prefix) :]
    if found.layout == "tower":
        return None if _SCALE.fullmatch(own) else f"visual.{own}"
    return own if found.layout == "open_clip" or own.startswith(_THEIRS) else f"vision_model.{own}"


def _spelled(theirs: Mapping[str, Place], wanted: Found, pretrained: Mapping[str, Tensor]) -> dict[str, Place]:
    """Hugging Face's names as θ₀ spells them: with a prefix, and with or without `vision_model.`."""
    spelled = {_name_inside(wanted, name): name for name in pretrained}
    is_bare = wanted.prefix + _PATCHES in pretrained
    return {
        spelled.get(name) or wanted.prefix + (name.removeprefix("vision_model.") if is_bare else name): place
        for name, place in theirs.items()
    }
