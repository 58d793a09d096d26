"""The runs of a table or a comparison, each experiment once."""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cl_bench.reports.markdown import Result
from cl_bench.reports.methods import method_of
from cl_bench.reports.scenarios import scenario_of
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.source_code import changes

Key = TypeVar("Key", bound=Hashable)

_SEEDS = ("deal_seed", "seed")  # of dealing images out to tasks; of an Avalanche benchmark's classes


@dataclass(frozen=True, eq=False)
class Run:
    """A record, and what it is one of."""

    method: str
    scenario: str
    seed: int
    result: Result

    @classmethod
    def of(cls, result: Result) -> "Run":
        """The run that left this record."""
        return cls(method_of(result), scenario_of(result), result["seed"], result)

    @property
    def place(self) -> str:
        """Its file, for messages."""
        return str(self.result.get("path", f"the run {self.result['fingerprint']}"))

    @property
    def is_alike(self) -> bool:
        """Whether there are other images under the name of its scenario."""
        return self.scenario != self.result["scenario"]["name"]

    @property
    def order(self) -> Any:
        """The setting of its scenario that decides what arrives when; None where there is none."""
        scenario: Mapping[str, Any] = self.result["config"].get("scenario", {})
        return next((value for name, value in scenario.items() if name.endswith("_order") or name in _SEEDS), None)

    @property
    def images(self) -> str:
        """Which images of its scenario the numbers are of; of validation images, the share that was set aside."""
        split: str = self.result["split"]
        share = self.result["config"].get("scenario", {}).get("validation_share")
        return split if split == "test" else f"{split}, {share} of the training images"


def distinct(runs: Iterable[Run], key: Callable[[Run], Key]) -> dict[Key, Run]:
    """One run for each key, though several sweeps may have done the same experiment.

    Raises:
        UserError: Two runs have one key, but other settings or numbers; or one method, but other code. Names both.
    """
    found: dict[Key, Run] = {}
    of_method: dict[tuple[str, str], Run] = {}
    for run in runs:
        _check_code(of_method.setdefault((run.method, run.scenario), run), run)
        first = found.setdefault(key(run), run)
        if first is not run:
            _check_same(first, run)
    return found


def each_once(results: Iterable[Result], cell: Callable[[Result], Hashable]) -> list[Result]:
    """Records whose numbers may be averaged over seeds within each cell; one of each seed.

    Raises:
        UserError: Two of one cell and seed differ in settings or numbers. Names both.
    """
    return [run.result for run in distinct(map(Run.of, results), lambda run: (cell(run.result), run.seed)).values()]


def _check_code(first: Run, second: Run) -> None:
    """Seeds that were run before a method was edited do not go into one mean with those after."""
    if changed := changes(first.result.get("code") or {}, second.result.get("code") or {}):
        raise UserError(
            f"{first.place} and {second.place} are both {first.method} on {first.scenario}, but code has changed "
            f"between them ({', '.join(changed)}): run the older one again, or name a folder without it."
        )


def _check_same(first: Run, second: Run) -> None:
    what = f"{first.place} and {second.place} are both {first.method} on {first.scenario} with seed {first.seed}"
    if _experiment(first) != _experiment(second):
        settings = ", ".join(f"{name} {a} and {b}" for name, (a, b) in differences(first, second).items())
        raise UserError(
            f"{what}, with different settings ({settings or 'fingerprint'}): name a folder that has only one of them."
        )
    if first.result["headline"]["value"] != second.result["headline"]["value"]:
        raise UserError(f"{what}, with the same settings, but their numbers differ: delete one and run it again.")


def differences(a: Run, b: Run) -> dict[str, tuple[Any, Any]]:
    """Settings, images, versions and devices of two runs that differ, by name."""
    one, other = _settings(a), _settings(b)
    names = sorted(one.keys() | other.keys())
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def flattened(node: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Nested settings under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= flattened(value, f"{under}{key}.") if isinstance(value, Mapping) else {f"{under}{key}": value}
    return flat


def class_names(result: Result) -> dict[str, str]:
    """What tells other class names of the same images: there may be thousands."""
    return {
        f"class_names.{data['name']}": hashlib.sha256(json.dumps(data["class_names"]).encode()).hexdigest()[:8]
        for data in result["datasets"]
        if "class_names" in data
    }


def _settings(run: Run) -> dict[str, Any]:
    """All but where files lie, what the run is called, and what is said twice."""
    result, config = run.result, dict(run.result["config"])
    if isinstance(scenario := config.get("scenario"), Mapping) and scenario.get("dataset") == config.get("dataset"):
        config["scenario"] = {name: value for name, value in scenario.items() if name != "dataset"}
    kept = {k: v for k, v in config.items() if k not in ("logger", "paths", "debug", "method")}
    images = {data["name"]: data["images"][:8] for data in result["datasets"]}
    code = {name: sha256[:8] for name, sha256 in (result.get("code") or {}).get("outside", {}).items()}
    others = {"images": images, "versions": result["versions"], "device": result["devices"]["kind"], "code": code}
    flat = flattened({**kept, **others})
    return {name: value for name, value in flat.items() if ".class_names" not in name} | class_names(result)


def _experiment(run: Run) -> tuple[Any, ...]:
    """What decides the numbers: how weights were trained, merged and evaluated."""
    return run.result["fingerprint"], run.result["config"].get("merger"), run.result["split"]
