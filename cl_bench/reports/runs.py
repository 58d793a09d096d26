"""The runs of a table or a comparison, each experiment once."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from cl_bench.reports.names import method_of, row_name
from cl_bench.reports.records import Result
from cl_bench.reports.scenario_names import scenario_name
from cl_bench.reports.settings import class_names, flattened
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.source_code import changes
from cl_bench.store.later_settings import as_before, without_later

Key = TypeVar("Key", bound=Hashable)

_SEEDS = ("deal_seed", "seed")  # of dealing images out to tasks; of the classes of an Avalanche benchmark
_WITHOUT_EFFECT = ("logger", "paths", "debug", "save_merged", "method")  # where files lie, and what the run is called


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A record, with the names under which tables and comparisons find it.

    Attributes:
        method: As `config.method` of a record.
        name: What the method's row is called.
        scenario: The scenario's name among the other records.
        seed: Of training.
        result: The record.
    """

    method: str
    name: str
    scenario: str
    seed: int
    result: Result

    @classmethod
    def of(cls, result: Result) -> "RecordedRun":
        """Makes the run that left this record."""
        return cls(method_of(result), row_name(result), scenario_name(result), result["seed"], result)

    @property
    def place(self) -> str:
        """The record's file, for messages."""
        return str(self.result.get("path", f"the run {self.result['fingerprint']}"))

    @property
    def has_namesakes(self) -> bool:
        """Whether there are other images under the name of its scenario."""
        return bool(self.scenario != self.result["scenario"]["name"])

    @property
    def order(self) -> Any:
        """The setting of its scenario that decides what arrives when; None where there is none."""
        scenario: Mapping[str, Any] = self.result["config"].get("scenario", {})
        return next((value for name, value in scenario.items() if name.endswith("_order") or name in _SEEDS), None)

    @property
    def images(self) -> str:
        """The images that the numbers are about; for validation images, with the share that was set aside."""
        split: str = self.result["split"]
        share = self.result["config"].get("scenario", {}).get("validation_share")
        return split if split == "test" else f"{split}, {share} of the training images"


def distinct(runs: Iterable[RecordedRun], key: Callable[[RecordedRun], Key]) -> dict[Key, RecordedRun]:
    """Keeps one run for each key, since several sweeps may have done the same experiment.

    Raises:
        UserError: Two runs have one key, but different settings or numbers; or one method, but different code. Names
            both.
    """
    found: dict[Key, RecordedRun] = {}
    first_of_method: dict[tuple[str, str], RecordedRun] = {}
    for run in runs:
        _check_code(first_of_method.setdefault((run.method, run.scenario), run), run)
        first = found.setdefault(key(run), run)
        if first is not run:
            _check_same(first, run)
    return found


def each_once(results: Iterable[Result], cell: Callable[[Result], Hashable]) -> list[Result]:
    """Keeps one record for each cell and seed, so that each cell's numbers may be averaged over seeds.

    Raises:
        UserError: Two records of one cell and seed differ in settings or numbers. Names both.
    """
    return [
        run.result for run in distinct(map(RecordedRun.of, results), lambda run: (cell(run.result), run.seed)).values()
    ]


def differences(a: RecordedRun, b: RecordedRun) -> dict[str, tuple[Any, Any]]:
    """Finds settings, images, versions and devices in which two runs differ, by name."""
    first, second = _settings(a), _settings(b)
    names = sorted(first.keys() | second.keys())
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}


def _check_code(first: RecordedRun, second: RecordedRun) -> None:
    """Refuses seeds from before and after an edit of the method: they do not belong in one mean."""
    if changed := changes(first.result.get("code") or {}, second.result.get("code") or {}):
        raise UserError(
            f"{first.place} and {second.place} are both {first.method} on {first.scenario}, but code has changed "
            f"between them ({', '.join(changed)}): run the older one again, or name a folder without it."
        )


def _check_same(first: RecordedRun, second: RecordedRun) -> None:
    what = f"{first.place} and {second.place} are both {first.method} on {first.scenario} with seed {first.seed}"
    if _experiment(first) != _experiment(second):
        settings = ", ".join(f"{name} {a} and {b}" for name, (a, b) in differences(first, second).items())
        raise UserError(
            f"{what}, with different settings ({settings or 'fingerprint'}): name a folder that has only one of them."
        )
    if first.result["headline"]["value"] != second.result["headline"]["value"]:
        raise UserError(f"{what}, with the same settings, but their numbers differ: delete one and run it again.")


def _settings(run: RecordedRun) -> dict[str, Any]:
    """Everything that may change a number; what the configuration says twice, once."""
    result, config = run.result, without_later(run.result["config"])
    if isinstance(scenario := config.get("scenario"), Mapping) and scenario.get("dataset") == config.get("dataset"):
        config["scenario"] = {name: value for name, value in scenario.items() if name != "dataset"}
    kept = {name: value for name, value in config.items() if name not in _WITHOUT_EFFECT}
    images = {data["name"]: data["images"][:8] for data in result["datasets"]}
    code = {name: sha256[:8] for name, sha256 in (result.get("code") or {}).get("outside", {}).items()}
    others = {"images": images, "versions": result["versions"], "device": result["devices"]["kind"], "code": code}
    flat = flattened({**kept, **others})
    return {name: value for name, value in flat.items() if ".class_names" not in name} | class_names(result)


def _experiment(run: RecordedRun) -> tuple[Any, ...]:
    """What decides the numbers: how weights were trained, merged and evaluated."""
    return run.result["fingerprint"], as_before(run.result["config"].get("merger")), run.result["split"]
