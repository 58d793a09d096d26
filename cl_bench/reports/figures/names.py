"""How trainers and methods are called in figures, and in which order they stand."""

from collections.abc import Iterable

from cl_bench.analyses.source import Source

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
    "head_only": "head only",
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


def trainer(source: Source) -> str:
    """How the tasks were trained, and which of CMM's parts were left out."""
    name = source["choices"]["trainer"]
    left_out = {
        "tangent space": source["trainer"].get("tangent") is False,
        "refinement": source["trainer"].get("refinement", "") is None,
        "second moments": name == "cmm" and source["merger"].get("second_moments") is False,
    }
    without = " and ".join(part for part, is_left_out in left_out.items() if is_left_out)
    return _TRAINERS.get(name, name) + (f" without {without}" if without else "")


def merger(source: Source) -> str:
    """How the tasks' weights were merged."""
    name = source["choices"]["merger"]
    return _MERGERS.get(name, name if "." in name else name.replace("_", " "))


def method(source: Source) -> str:
    """Both; nothing is said of a merger that takes the last weights, or that belongs to the trainer."""
    choices = source["choices"]
    if choices["merger"] in ("last", choices["trainer"]):
        return trainer(source)
    return f"{trainer(source)} + {merger(source)}"


def in_order(items: Iterable[str]) -> list[str]:
    """Such names in the papers' order."""
    words = [*_TRAINERS.values(), *_MERGERS.values()]

    def place(name: str) -> tuple[int, str]:
        begins = [i for i, word in enumerate(words) if name.startswith(word)]
        return begins[0] if begins else len(words), name

    return sorted(items, key=place)
