"""What every merger owes; to add a merger, add its row to METHODS.

Over 300 lines: the table has a row for each merger, and the promises that all of them keep stand beside it.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor

from cl_bench import mergers
from cl_bench.mergers import (
    CMM,
    DOP,
    EMA,
    EMR,
    NUFILT,
    OPCM,
    PCB,
    STAR,
    SVC,
    TSV,
    AdaMerging,
    Average,
    BaseMerger,
    Breadcrumbs,
    CoFiMA,
    Consensus,
    ContinualTaskArithmetic,
    ContinualTies,
    CoreSpace,
    Dare,
    DCMerge,
    Della,
    Fisher,
    IsoC,
    IsoCTS,
    KnOTS,
    Last,
    Lines,
    LocalizeAndStitch,
    MagMax,
    ModelStock,
    PerturbAndMerge,
    RandMix,
    RegMean,
    Rescale,
    Slerp,
    TallMasks,
    TaskArithmetic,
    Ties,
    WeightWeaving,
    Wudi,
)
from cl_bench.mergers.by_name import ByName, Rule
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate
from cl_bench.testing import check_merger
from tests.mergers.one_model import one_model

CONFIGURATIONS = Path(__file__).parents[2] / "conf" / "merger"


def last(vectors: Tensor) -> Tensor:
    return vectors[-1]


def average(vectors: Tensor) -> Tensor:
    return vectors.mean(0)


def running_average(vectors: Tensor, alpha: float = 0.4) -> Tensor:
    merged = vectors[0]
    for vector in vectors[1:]:
        merged = (1 - alpha) * merged + alpha * vector
    return merged


def task_arithmetic(vectors: Tensor) -> Tensor:
    return vectors.sum(0)


def magmax(vectors: Tensor) -> Tensor:
    result = torch.zeros_like(vectors[0])
    for i in range(vectors.shape[1]):
        for value in vectors[:, i]:
            if abs(value) >= abs(result[i]):
                result[i] = value
    return result


def ties(vectors: Tensor, density: float = 0.4) -> Tensor:
    keep = max(1, int(density * vectors.shape[1]))
    kept = torch.zeros_like(vectors)
    for t, vector in enumerate(vectors):
        smallest = sorted(vector.abs().tolist(), reverse=True)[keep - 1]
        kept[t] = torch.where(vector.abs() >= smallest, vector, 0.0)
    signs = kept.sum(0).sign()
    signs[signs == 0] = 1.0 if signs.sum() > 0 else -1.0
    agree = kept.sign() == signs
    return (kept * agree).sum(0) / agree.sum(0).clamp(min=1)


def without_statistics(merger: BaseMerger) -> BaseMerger:
    """A merger that has to do without what it asks of the training, as for parameters that were not trained."""
    merger.requires = frozenset()
    return merger


def adamerging(scaling: float) -> AdaMerging:
    """With the coefficients that learning starts from."""
    merger = AdaMerging(scaling=scaling)
    merger.coefficients = lambda _, tasks: torch.full((tasks,), 0.3)
    return merger


def three_tenths(vectors: Tensor) -> Tensor:
    return 0.3 * vectors.sum(0)


def consensus(vectors: Tensor) -> Tensor:
    total = vectors.sum(0)
    users = (vectors.abs() > 0.5 * (total - vectors).abs()).sum(0)
    return total * (users >= 2)


def lines(vectors: Tensor) -> Tensor:
    merged = magmax(vectors)
    size = merged.abs().sum()
    return merged * (vectors.sum(0).abs().sum() / (len(vectors) * size) if size else 0)


def rescale(vectors: Tensor) -> Tensor:
    merged = vectors.sum(0)
    return merged * (vectors.norm(dim=1).mean() / merged.norm() if merged.any() else 0)


def weight_weaving(vectors: Tensor) -> Tensor:
    return (vectors.sum(0) + 0.5 * magmax(vectors) + 1.5 * magmax(vectors)) / (len(vectors) + 2)


def by_name(vectors: Tensor) -> Tensor:
    matrix, vector, number = vectors.split([15, 4, 1], dim=1)
    return torch.cat([magmax(matrix), last(vector), average(number)])


def one_step(vectors: Tensor) -> Tensor:
    """Perturb-and-Merge where all parameters matter alike."""
    merged = torch.zeros_like(vectors[0])
    for t, vector in enumerate(vectors, start=1):
        change = vector - merged
        length = t * change @ change
        merged = merged + ((vectors[:t] - merged).sum(0) @ change / length if length > 0 else 0) * change
    return merged


class Method(NamedTuple):
    merger: Callable[[float], BaseMerger]
    # (T, elements) float64 -> (elements,); None: the method's own test has it
    oracle: Callable[[Tensor], Tensor] | None
    keeps_what_all_share: bool  # with λ = 1, merging copies of one model gives that model
    own_copies: bool = False  # its own test has what it makes of one task, and of copies
    any_order: bool = False  # the order of the tasks does not matter


METHODS = {
    "last": Method(Last, last, True),
    "average": Method(Average, average, True, any_order=True),
    "task_arithmetic": Method(TaskArithmetic, task_arithmetic, False, any_order=True),
    "cmm": Method(lambda scaling: CMM(0.4, False, scaling), running_average, True),
    "fisher": Method(lambda scaling: without_statistics(Fisher(scaling)), average, True, any_order=True),
    "cofima": Method(lambda scaling: without_statistics(CoFiMA(scaling=scaling)), running_average, True),
    "regmean": Method(lambda scaling: without_statistics(RegMean(scaling)), average, True, any_order=True),
    "rand_mix": Method(RandMix, None, True),
    "magmax": Method(MagMax, magmax, True),
    "ties": Method(lambda scaling: Ties(scaling, 0.4, "encoder"), ties, False, any_order=True),
    "ema": Method(lambda scaling: EMA(0.4, scaling), running_average, True),
    "dare": Method(lambda scaling: Dare(scaling, 0.5, "ties"), None, False, own_copies=True),
    "breadcrumbs": Method(lambda scaling: Breadcrumbs(scaling, 0.5, 0.1), None, False, own_copies=True, any_order=True),
    "della": Method(lambda scaling: Della(scaling, 0.5, 0.4), None, False, own_copies=True),
    "consensus": Method(lambda scaling: Consensus(scaling, 0.5, 2), consensus, False, own_copies=True, any_order=True),
    "pcb": Method(lambda scaling: PCB(scaling, 0.3), None, False, own_copies=True, any_order=True),
    "model_stock": Method(ModelStock, None, True, any_order=True),
    "tsv": Method(TSV, None, False, own_copies=True, any_order=True),
    "iso_c": Method(IsoC, None, False, own_copies=True, any_order=True),
    "iso_cts": Method(lambda scaling: IsoCTS(scaling, 0.5), None, False, own_copies=True, any_order=True),
    "star": Method(STAR, None, False, own_copies=True, any_order=True),
    # "linear", since it refuses as many tasks as the tests have for a matrix of three columns
    "dc_merge": Method(
        lambda scaling: DCMerge(scaling, 0.1, matrices="linear"), None, False, own_copies=True, any_order=True
    ),
    "localize_and_stitch": Method(LocalizeAndStitch, None, False, own_copies=True, any_order=True),
    "opcm": Method(lambda scaling: OPCM(scaling, matrices="all"), None, False, own_copies=True),
    "wudi": Method(lambda scaling: Wudi(scaling, 5, 0.01, False, "all", "sum"), None, False, own_copies=True),
    "dop": Method(lambda scaling: DOP(scaling, 5, 0.01, matrices="all"), None, True),
    "nufilt": Method(
        lambda scaling: NUFILT(scaling, 5, 0.01, matrices="all", rest="sum"), None, False, own_copies=True
    ),
    "continual_task_arithmetic": Method(ContinualTaskArithmetic, task_arithmetic, False, any_order=True),
    "continual_ties": Method(lambda scaling: ContinualTies(0.5, 0.4, scaling), None, False, own_copies=True),
    "perturb_and_merge": Method(lambda scaling: without_statistics(PerturbAndMerge(scaling)), one_step, True),
    "slerp": Method(Slerp, None, True),
    "adamerging": Method(adamerging, three_tenths, False, own_copies=True, any_order=True),
    "emr": Method(EMR, None, False, own_copies=True),
    "tall_masks": Method(TallMasks, None, False, own_copies=True),
    "by_name": Method(
        lambda scaling: ByName(Average(), [Rule("matrix*", MagMax(1.0)), Rule("vec*", Last())], scaling), by_name, True
    ),
    "lines": Method(lambda scaling: Lines(MagMax(0.5), 0.0, None, scaling), lines, True),
    "rescale": Method(lambda scaling: Rescale(TaskArithmetic(0.5), "model", scaling), rescale, True, any_order=True),
    "weight_weaving": Method(lambda scaling: WeightWeaving(MagMax(1.0), [0.5, 1.5], scaling), weight_weaving, True),
    "knots": Method(
        lambda scaling: KnOTS(Average(), "released", scaling, matrices="all"), average, True, own_copies=True
    ),
    "core_space": Method(
        lambda scaling: CoreSpace(Average(), False, scaling, matrices="all"), average, True, own_copies=True
    ),
    "svc": Method(
        lambda scaling: SVC(Ties(1.0, 0.4, "encoder"), 0.5, scaling, matrices="all"),
        None,
        False,
        own_copies=True,
        any_order=True,
    ),
}
every_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
shapes = {"matrix": (5, 3), "vector": (4,), "number": (), "empty": (0, 2)}
streams = st.tuples(st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([0.0, 0.3, 1.0, -2.0]))


def models(tasks: int, seed: int, dtype: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    """θ_0 to θ_T with quarters as values: sums are exact, so ties and zero sums are as in theory."""
    generator = torch.Generator().manual_seed(seed)

    def tensor(shape: tuple[int, ...]) -> Tensor:
        return torch.randint(-5, 6, shape, generator=generator).to(dtype) / 4

    return [
        {name: tensor(shape) for name, shape in shapes.items()} | {"steps": torch.tensor(7)} for _ in range(tasks + 1)
    ]


def as_vector(model: dict[str, Tensor]) -> Tensor:
    return torch.cat([model[name].double().reshape(-1) for name in shapes])


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


@every_method
@settings(max_examples=40, deadline=None)
@given(streams)
def test_agrees_with_oracle(method: Method, stream: tuple[int, int, float]) -> None:
    if method.oracle is None:
        pytest.skip("its own test has the oracle")
    tasks, seed, scaling = stream
    pretrained, *finetuned = models(tasks, seed)
    merged = method.merger(scaling).merge(pretrained, finetuned)
    start = as_vector(pretrained)
    expected = start + scaling * method.oracle(torch.stack([as_vector(model) - start for model in finetuned]))
    torch.testing.assert_close(as_vector(merged), expected, rtol=1e-6, atol=1e-6)
    assert {name: tensor.shape for name, tensor in merged.items()} == {
        name: tensor.shape for name, tensor in pretrained.items()
    }


@every_method
@settings(max_examples=20, deadline=None)
@given(streams)
def test_one_task(method: Method, stream: tuple[int, int, float]) -> None:
    if method.own_copies:
        pytest.skip("its own test has what it makes of one task")
    pretrained, finetuned = models(1, stream[1])
    if method.oracle is ties:
        kept = as_vector(method.merger(1.0).merge(pretrained, [finetuned])) - as_vector(pretrained)
        task_vector = as_vector(finetuned) - as_vector(pretrained)
        assert bool(((kept == task_vector) | (kept == 0)).all())
        assert int((kept != 0).sum()) >= min(8, int((task_vector != 0).sum()))
    else:
        assert same(method.merger(1.0).merge(pretrained, [finetuned]), finetuned)


@every_method
@settings(max_examples=20, deadline=None)
@given(streams)
def test_copies_of_one_model_are_a_fixed_point(method: Method, stream: tuple[int, int, float]) -> None:
    if method.own_copies:
        pytest.skip("its own test has what it makes of copies")
    tasks, seed, _ = stream
    pretrained, finetuned = models(1, seed)
    merged = as_vector(method.merger(1.0).merge(pretrained, [finetuned] * tasks))
    alone = as_vector(method.merger(1.0).merge(pretrained, [finetuned]))
    if method.oracle is task_arithmetic:
        alone = as_vector(pretrained) + tasks * (as_vector(finetuned) - as_vector(pretrained))
    elif method.keeps_what_all_share:
        alone = as_vector(finetuned)
    torch.testing.assert_close(merged, alone, rtol=0, atol=1e-6)


@every_method
def test_keeps_what_every_merger_promises(method: Method) -> None:
    check_merger(lambda: method.merger(1.0), method.any_order)


@every_method
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31))
def test_the_order_of_parameters_does_not_count(method: Method, seed: int) -> None:
    """Files have their parameters in an order of their own."""
    generator = torch.Generator().manual_seed(seed)
    numbered = {f"{name}_{number}": shape for name, shape in shapes.items() for number in range(4)}
    in_memory = [
        {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in numbered.items()}
        for _ in range(4)
    ]
    in_a_file = [dict(reversed(model.items())) for model in in_memory]
    merged, again = (one_model(method.merger(0.7), start, models) for start, *models in (in_memory, in_a_file))
    assert same(merged, {name: again[name] for name in merged})


@pytest.mark.parametrize("merger", [CMM, CoFiMA, Fisher, PerturbAndMerge, RegMean], ids=lambda merger: merger.__name__)
def test_keeps_it_with_statistics(merger: type[BaseMerger]) -> None:
    assert merger().requires
    check_merger(merger)


@pytest.mark.parametrize("name", METHODS)
def test_configuration_is_the_constructor(name: str) -> None:
    path = CONFIGURATIONS / f"{name}.yaml"
    text, configuration = path.read_text(encoding="utf-8"), OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    if configuration.pop("defaults", None):  # of the method that it is around
        configuration = {"of": "???"} | configuration | {"of": "???"}
    constructor = getattr(mergers, configuration.pop("_target_").removeprefix("cl_bench.mergers."))
    parameters = inspect.signature(constructor).parameters
    assert text.startswith("# ") and "arXiv" in text.splitlines()[0]
    assert list(configuration) == list(parameters)
    for argument, value in configuration.items():
        default = parameters[argument].default
        assert value == ("???" if default is inspect.Parameter.empty else default)
    assert constructor.__module__ == f"cl_bench.mergers.{name}"
    assert constructor.requires == frozenset()


def test_every_merger_has_a_row_and_a_configuration() -> None:
    assert {name: type(method.merger(1.0)) for name, method in METHODS.items()} == mergers.MERGERS
    assert {path.stem for path in CONFIGURATIONS.glob("*.yaml")} == set(METHODS)
    assert {merger.__name__ for merger in mergers.MERGERS.values()} <= set(mergers.__all__)


@pytest.mark.parametrize("density", [0.0, -0.1, 1.5])
def test_configuration_is_checked_by_annotations(density: float) -> None:
    with pytest.raises(UserError, match=r"merger\.density"):
        instantiate({"_target_": "cl_bench.mergers.Ties", "density": density}, "merger")
    with pytest.raises(ValueError, match="density"):
        Ties(density=density)
