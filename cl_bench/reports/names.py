"""Names of trainers, mergers and methods, and the order in which they stand, for every table, figure and page.

A method is a trainer with a merger. The papers' methods have a name and a place below. All others name themselves: a
choice by its class where that is an abbreviation (`merger=opcm` is `cl_bench.mergers.OPCM`, so it is OPCM), else by its
own words (`merger=model_stock` is model stock), a class without a choice by its import path.
"""

from collections.abc import Iterable, Mapping
from typing import Any

BOUNDS = frozenset({"zero_shot", "joint"})
"""What no method should fall below, or can exceed: they do not compete with the others."""

_PAPERS_METHODS = {
    "zero_shot": "Zero-shot",
    "joint": "Joint",
    "simplecil": "SimpleCIL",
    "sequential_last": "Sequential fine-tuning",
    "lwf": "LwF",
    "ewc": "EWC",
    "ewc_of_classes": "EWC, Fisher information of classes",
    "independent_rand_mix": "RandMix",
    "independent_magmax": "MaxAbs",
    "independent_average": "Average",
    "independent_ties": "TIES",
    "independent_dare": "DARE",
    "independent_fisher": "Fisher",
    "sequential_rand_mix": "Sequential + RandMix",
    "sequential_average": "Sequential + average",
    "sequential_task_arithmetic": "Sequential + task arithmetic",
    "sequential_ties": "Sequential + TIES",
    "sequential_dare": "Sequential + DARE",
    "sequential_magmax": "MagMax",
    "lwf_magmax": "LwF + MagMax",
    "ewc_magmax": "EWC + MagMax",
    "tangent_magmax": "Tangent + MagMax",
    "cmm": "CMM",
    "cmm_without_tangent": "CMM without tangent space",
    "cmm_without_second_moments": "CMM without second moments",
    "cmm_with_second_moments": "CMM with second moments",
    "cmm_without_refinement": "CMM without refinement",
}
"""Rows of the papers' tables, in their order: a method as records call it, and what its row is called."""

_TRAINERS = {
    "zero_shot": "zero-shot",
    "joint": "joint",
    "independent": "independent",
    "sequential": "sequential",
    "ewc": "EWC",
    "lwf": "LwF",
    "l2sp": "L2-SP",
    "replay": "replay",
    "tangent": "tangent",
    "cmm": "CMM",
    "lora": "LoRA",
    "head_only": "linear probe",
    "imported": "imported",
    "finished": "finished model",
}
_MERGERS = {
    "last": "last",
    "average": "average",
    "task_arithmetic": "task arithmetic",
    "rand_mix": "random mix",
    "magmax": "MagMax",
    "ties": "TIES",
    "ema": "EMA",
    "cmm": "CMM",
}
_ALONE = ("zero_shot", "joint", "lwf", "ewc")  # with merger=last they are called by the trainer's name alone

PREFERRED = ("sequential", "sequential + MagMax", "independent + MagMax", "EWC", "LwF", "CMM")
"""Methods that a figure with room for six shows first, as `method_label` calls them."""


def method_id(trainer: str, merger: str) -> str:
    """Joins a trainer and a merger as the files in `multirun_configs/method/` are called.

    A class without a choice goes by its import path, with a plus between: `sequential+my_package.Median`.
    """
    if "." in trainer + merger:
        return f"{trainer}+{merger}"
    alone = (merger == "last" and trainer in _ALONE) or trainer == merger
    return trainer if alone else f"{trainer}_{merger}"


def method_of(result: Mapping[str, Any]) -> str:
    """The method of a record: `config.method` where it has one, else its trainer and merger joined."""
    if is_simplecil(result["choices"]):
        return "simplecil"
    return result["config"].get("method") or _id_of_choices(result["choices"])


def is_simplecil(choices: Mapping[str, Any]) -> bool:
    """Whether θ₀ answers with class means, which nothing else in a record's method says."""
    return choices.get("trainer") == "zero_shot" and choices.get("head") == "prototypes"


def row_name(result: Mapping[str, Any]) -> str:
    """What the row of a record's method is called in a table."""
    method, choices, config = method_of(result), result["choices"], result["config"]
    says_its_choices = method in (_id_of_choices(choices), f"{choices['trainer']}_{choices['merger']}")
    if method in _PAPERS_METHODS or not says_its_choices:
        return papers_name(method)
    trainer = trainer_name(choices["trainer"], config.get("trainer", {}))
    begin = trainer if "." in trainer else trainer[:1].upper() + trainer[1:]
    return begin if method == choices["trainer"] else f"{begin} + {merger_name(choices, config.get('merger', {}))}"


def papers_name(method: str) -> str:
    """What a method is called that has no record here, such as one that others published."""
    return _PAPERS_METHODS.get(method, _words(method))


def method_position(method: str) -> tuple[float, str]:
    """Sorts methods: the papers' in their order, all others by name before CMM and its variants."""
    listed = list(_PAPERS_METHODS)
    if method in listed:
        return listed.index(method), method
    return (len(listed) if method.startswith("cmm") else listed.index("cmm") - 0.5), method


def trainer_position(trainer: str) -> tuple[int, str]:
    """Sorts trainers: those above in their order, then all others by name."""
    listed = list(_TRAINERS)
    return (listed.index(trainer) if trainer in listed else len(listed)), trainer


def trainer_name(choice: str, config: Mapping[str, Any]) -> str:
    """What a trainer is called within a sentence."""
    return _TRAINERS.get(choice) or _own_name(choice, config)


def merger_name(choices: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """What a merger is called within a sentence; one around others names them, too: rescale of SVC of TIES."""
    inner = [choices[key] for key in _inner_mergers(choices)]
    names = []
    for choice in (choices["merger"], *inner):
        names.append(_MERGERS.get(choice) or _own_name(choice, config))
        config = config["of"] if isinstance(config.get("of"), Mapping) else {}
    return " of ".join(names)


def trainer_label(source: Mapping[str, Any]) -> str:
    """How a figure calls the way tasks were trained, and which of CMM's parts were left out."""
    choice = source["choices"]["trainer"]
    if is_simplecil(source["choices"]):
        return _PAPERS_METHODS["simplecil"]
    parts = {
        "tangent space": source["trainer"].get("tangent") is False,
        "refinement": source["trainer"].get("refinement", "") is None,
        "second moments": choice == "cmm" and source["merger"].get("second_moments") is False,
    }
    without = " and ".join(part for part, is_left_out in parts.items() if is_left_out)
    return trainer_name(choice, source["trainer"]) + (f" without {without}" if without else "")


def merger_label(source: Mapping[str, Any]) -> str:
    """How a figure calls the merger."""
    return merger_name(source["choices"], source["merger"])


def method_label(source: Mapping[str, Any]) -> str:
    """How a figure calls a method; a merger that takes the last weights, or belongs to the trainer, goes unsaid."""
    choices = source["choices"]
    if choices["merger"] in ("last", choices["trainer"]):
        return trainer_label(source)
    return f"{trainer_label(source)} + {merger_label(source)}"


def in_order(labels: Iterable[str]) -> list[str]:
    """Sorts what the three functions above have returned: trainers, then mergers, then all others by name."""
    return sorted(labels, key=_place)


def is_listed(choices: Mapping[str, Any]) -> bool:
    """Whether both the trainer and the merger of a record have a place in the order above."""
    return choices["trainer"] in _TRAINERS and choices["merger"] in _MERGERS


def _place(label: str) -> tuple[int, str]:
    names = [*_TRAINERS.values(), *_MERGERS.values()]
    listed = [(i, label) for i, name in enumerate(names) if label.startswith(name)]
    return listed[0] if listed else (len(names), label.casefold())  # abbreviations stand among words


def _id_of_choices(choices: Mapping[str, Any]) -> str:
    inner = [choices[key] for key in _inner_mergers(choices)]
    return method_id(choices["trainer"], "_of_".join([choices["merger"], *inner]))


def _inner_mergers(choices: Mapping[str, Any]) -> list[str]:
    """Hydra's names for the choices within a merger, from the outside in."""
    return sorted(key for key in choices if key.startswith("merger@merger.of"))


def _own_name(choice: str, config: Mapping[str, Any]) -> str:
    """The class's name where it is the choice with capitals, such as OPCM or RegMean; else the choice in words."""
    class_name = str(config.get("_target_", "")).rpartition(".")[2]
    is_abbreviation = class_name.lower() == choice and sum(map(str.isupper, class_name)) > 1
    return class_name if is_abbreviation else _words(choice)


def _words(name: str) -> str:
    return name if "." in name else name.replace("_", " ")
