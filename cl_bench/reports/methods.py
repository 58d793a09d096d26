"""What the rows of tables are called, and in which order they stand: the papers'."""

from cl_bench.reports.markdown import Result

BOUNDS = frozenset({"zero_shot", "joint"})
"""Below and above what can be asked of a method: they do not compete with the others."""

_READABLE = {
    "zero_shot": "Zero-shot",
    "joint": "Joint",
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
_TRAINERS = {
    "independent": "Independent",
    "sequential": "Sequential",
    "lwf": "LwF",
    "ewc": "EWC",
    "l2sp": "L2-SP",
    "replay": "Replay",
    "tangent": "Tangent",
    "cmm": "CMM",
    "lora": "LoRA",
    "head_only": "Linear probe",
}
_ONE_MERGER = {"zero_shot", "joint", "lwf", "ewc"}  # as such they are reported with their raw weights


def method_of(result: Result) -> str:
    """The method of a record: the one it says, else its trainer and merger."""
    choices = result["choices"]
    inner = [choices[key] for key in sorted(choices) if key.startswith("merger@merger.of")]
    return result["config"].get("method") or method_name(choices["trainer"], "_of_".join([choices["merger"], *inner]))


def method_name(trainer: str, merger: str) -> str:
    """A trainer and a merger as one name, as the files in `multirun_configs/method/` are called.

    Classes that have no file are called by their import paths, with a plus between: `sequential+my_package.Median`.
    """
    if "." in trainer + merger:
        return f"{trainer}+{merger}"
    alone = (merger == "last" and trainer in _ONE_MERGER) or trainer == merger
    return trainer if alone else f"{trainer}_{merger}"


def readable(method: str) -> str:
    """The name of a row, for people; of a method that is not listed here, made of its parts' names."""
    if method in _READABLE:
        return _READABLE[method]
    if "+" in method:
        return " + ".join(_TRAINERS.get(part, _words(part)) for part in method.split("+"))
    for trainer, name in _TRAINERS.items():
        if method == trainer:
            return name
        if method.startswith(f"{trainer}_"):
            return f"{name} + {_words(method.removeprefix(f'{trainer}_'))}"
    return _words(method)


def _words(name: str) -> str:
    """A choice's name for people; an import path stays as it is."""
    return " of ".join(part if "." in part else part.replace("_", " ") for part in name.split("_of_"))


def position(method: str) -> tuple[float, str]:
    """Where the row stands: the papers' methods in their order, others by name before CMM."""
    listed = list(_READABLE)
    if method in listed:
        return listed.index(method), method
    return (len(listed) if method.startswith("cmm") else listed.index("cmm") - 0.5), method
