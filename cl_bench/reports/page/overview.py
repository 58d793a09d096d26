"""The runs of a page in a few lines."""

from collections.abc import Iterable, Sequence

from cl_bench.reports.headline import with_headline
from cl_bench.reports.kinds import Kind, kind_of
from cl_bench.reports.names import method_of
from cl_bench.reports.records import Result
from cl_bench.reports.scaling import chosen_only
from cl_bench.reports.scenario_names import scenario_name


def overview(results: Sequence[Result]) -> dict[str, str]:
    """Sums up scenarios, methods, time, devices and versions: by name, in the order of the page."""
    streams = {result["fingerprint"]: result["seconds"]["training"] for result in results if result["training"]}
    evaluation = sum(result["seconds"]["evaluation"] for result in results)
    merging = sum(result["seconds"]["merging"] for result in results)
    devices = {f"{result['devices']['count']} × {result['devices']['kind']}" for result in results}
    versions = {f"{name} {number}" for result in results for name, number in result["versions"].items()}
    left_out, null = chosen_only(results)[1], with_headline(results)[1]
    special = sorted({kind for result in results if (kind := kind_of(result))})
    return {
        "runs": str(len(results)),
        "trained streams": str(len(streams)),
        "scenarios": _listed(scenario_name(result) for result in results),
        "methods": _listed(method_of(result) for result in results),
        "seeds": ", ".join(map(str, sorted({result["seed"] for result in results}))),
        "time": f"training {_span(sum(streams.values()))}, merging {_span(merging)}, evaluation {_span(evaluation)}",
        "devices": _listed(devices),
        "versions": _listed(versions),
        **({"left out": left_out.removeprefix("Left out: ")} if left_out else {}),
        **({"no accuracy": null.removeprefix("Left out: ")} if null else {}),
        **{kind.flag: f"{_methods(results, kind)}: {kind.advice}" for kind in special},
    }


def _methods(results: Sequence[Result], kind: Kind) -> str:
    return _listed(method_of(result) for result in results if kind_of(result) == kind)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
