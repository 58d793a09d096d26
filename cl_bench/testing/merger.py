"""What every merger owes, whoever wrote it: this project's own mergers pass the same checks."""

import itertools
from collections.abc import Callable, Sequence

import torch

from cl_bench.mergers import BaseMerger, RunningMerge
from cl_bench.testing.assertions import assert_constructed, assert_refused, assert_same, kinds
from cl_bench.testing.made_up import SHAPES, Weights, exact_models, made_up_statistics, rough_models
from cl_bench.testing.merged import blocks_of, merge, merged_of

Make = Callable[[], BaseMerger]

_SCALINGS = (0.3, 1.0, -2.0)


def check_merger(make: Make, any_order: bool = False) -> None:
    """Checks that a merger keeps what every merger promises.

    It takes about a second, on small random models that are the same each time, and needs neither pytest nor data. Of
    a ``PerTaskMerger`` it checks the last task's model.

    - Merging leaves its inputs alone. The result has the names, shapes and types of the pre-trained model.
    - Tasks that changed nothing leave the pre-trained model as it is; tasks that changed it do not.
    - λ = 0 gives the pre-trained model, and every other λ multiplies the merged task vector.
    - Integer buffers pass through.
    - Merging task by task gives the bits of merging all at once, and so does a merge that was saved and resumed.
    - Block size, number of threads and layout in memory change no bit.
    - Half types are computed in single precision, and types may be mixed.
    - Weights that cannot be merged are refused by the name of the parameter, and leave a running merge as it was.

    Whether the formula is right, nobody but you can check: hold it against a few lines of plain PyTorch.

    Args:
        make: Makes the merger with the settings to check, such as ``lambda: MyMerger(density=0.2)``. It is called
            often.
        any_order: Whether the order of the tasks must not matter.

    Raises:
        AssertionError: The merger breaks a promise. Says which one and what to do.
    """
    assert_constructed(make())
    _check_inputs_and_result(make)
    _check_buffers(make)
    _check_again(make)
    _check_scaling(make)
    _check_task_by_task(make)
    _check_task_vectors(make)
    _check_resume(make)
    _check_blocks(make)
    _check_threads(make)
    _check_layouts(make)
    _check_half_types(make)
    _check_mixed_types(make)
    _check_refusals(make)
    if any_order:
        _check_any_order(make)


def _check_inputs_and_result(make: Make) -> None:
    models = exact_models(tasks=3, seed=1)
    before = [{name: tensor.clone() for name, tensor in model.items()} for model in models]
    merged = merge(make(), models)
    _check_statistics_are_left_alone(make, models)
    for model, kept in zip(models, before, strict=True):
        assert_same(model, kept, "The merger changes the weights that it is given; change your own copies")
    assert kinds(merged) == kinds(models[0]), (
        f"The merged model has {kinds(merged)}, but the pre-trained one {kinds(models[0])}; keep names, shapes and "
        "types"
    )
    for tensor in merged.values():
        tensor.fill_(99)
    for model, kept in zip(models, before, strict=True):
        assert_same(model, kept, "The merged model shares memory with what was merged; return new tensors")


def _check_statistics_are_left_alone(make: Make, models: Sequence[Weights]) -> None:
    given, kept = ([made_up_statistics(make(), models[0], number) for number in (1, 2, 3)] for _ in range(2))
    running = RunningMerge(make(), models[0])
    for weights, statistics, before in zip(models[1:], given, kept, strict=True):
        running.add(weights, statistics)
        for name, tensors in statistics.items():
            what = f"The merger changes {name}, which it is given; change your own copies"
            assert_same(tensors, before[name], what)


def _check_task_vectors(make: Make) -> None:
    pretrained, *finetuned = rough_models(300, torch.float32)
    unchanged = merge(make(), [pretrained] * (1 + len(finetuned)))
    for name, tensor in pretrained.items():
        assert torch.allclose(unchanged[name], tensor, rtol=0, atol=1e-5), (
            f"Tasks that changed nothing move {name!r} by up to {float((unchanged[name] - tensor).abs().max()):.3g}; "
            "return the merged task vector, to which the pre-trained weights are added for you"
        )
    merged = merge(_scaled(make, 1.0), [pretrained, *finetuned])
    assert any(not torch.equal(merged[name], tensor) for name, tensor in pretrained.items()), (
        "Tasks that changed the weights leave the pre-trained model as it is; fold has to change the state in place, "
        "as in state[0].add_(block.vector)"
    )


def _check_buffers(make: Make) -> None:
    pretrained = {"w": torch.zeros(2), "count": torch.tensor(3), "mask": torch.tensor([True, False])}
    finetuned = {"w": torch.ones(2), "count": torch.tensor(9), "mask": torch.tensor([False, False])}
    merged = merge(make(), [pretrained, finetuned])
    for name in ("count", "mask"):
        what = f"{name!r} is no floating-point weight and has to be a copy of the pre-trained model's"
        assert_same({name: merged[name]}, {name: pretrained[name]}, what)
        assert merged[name].data_ptr() != pretrained[name].data_ptr(), what
    for model in ({}, {"steps": torch.tensor(1)}, {"w": torch.zeros(0)}):
        what = f"A model without weights, {model}, has to come back as it is"
        assert_same(merge(make(), [model, model, model]), model, what)


def _check_scaling(make: Make) -> None:
    for tasks in range(1, 6):
        models = exact_models(tasks, seed=10 + tasks)
        what = "With scaling=0 the result has to be the pre-trained model; leave λ to Merger.apply"
        assert_same(merge(_scaled(make, 0.0), models), models[0], what)
        whole = merge(_scaled(make, 1.0), models)
        for scaling in () if make().per_task else _SCALINGS:  # what a task takes may depend on λ
            merged = merge(_scaled(make, scaling), models)
            for name in SHAPES:
                expected = models[0][name] + scaling * (whole[name] - models[0][name])
                assert torch.allclose(merged[name], expected, rtol=1e-5, atol=1e-5), (
                    f"With scaling={scaling}, {name!r} is not θ_0 + {scaling} · (what scaling=1 adds to it); leave λ "
                    "to Merger.apply"
                )


def _check_task_by_task(make: Make) -> None:
    for tasks, scaling in itertools.product(range(1, 6), _SCALINGS):
        models, merger = exact_models(tasks, seed=20 + tasks), _scaled(make, scaling)
        running = RunningMerge(merger, models[0])
        assert_same(merged_of(running), models[0], "Before the first task, the merged model is not the pre-trained one")
        for number in range(1, tasks + 1):
            running.add(models[number], made_up_statistics(merger, models[0], number))
            assert running.tasks == number, f"After {number} tasks, RunningMerge.tasks is {running.tasks}"
            assert_same(
                merge(_scaled(make, scaling), models[: number + 1], one_by_one=True),
                merged_of(running),
                f"Merging {number} tasks at once gives other bits than merging them one by one; keep in the state all "
                "that the result needs",
            )
        what = f"Merging a list of {tasks} tasks gives other bits than merging them one by one"
        assert_same(merge(_scaled(make, scaling), models), merged_of(running), what)


def _check_again(make: Make) -> None:
    models, merger = exact_models(tasks=3, seed=2), make()
    what = "The same merge gives other bits the second time; keep nothing on self, and draw from block.generator"
    assert_same(merge(merger, models), merge(merger, models), what)
    running = RunningMerge(merger, models[0])
    for number in (1, 2, 3):
        running.add(models[number], made_up_statistics(merger, models[0], number))
    assert_same(merged_of(running), merged_of(running), what)


def _check_resume(make: Make) -> None:
    for tasks in range(1, 6):
        for stop in range(tasks + 1):
            _check_resume_after(make, stop, tasks)


def _check_resume_after(make: Make, stop: int, tasks: int) -> None:
    models, merger = exact_models(tasks, seed=30 + tasks), make()
    whole, resumed = RunningMerge(merger, models[0]), RunningMerge(make(), models[0])
    for number in range(1, stop + 1):
        whole.add(models[number], made_up_statistics(merger, models[0], number))
    resumed.load_state_dict(whole.state_dict())
    for number in range(stop + 1, tasks + 1):
        for running in (whole, resumed):
            running.add(models[number], made_up_statistics(merger, models[0], number))
    what = f"A merge of {tasks} tasks that was saved after {stop} and resumed"
    assert resumed.tasks == whole.tasks, f"{what} has {resumed.tasks} tasks"
    assert_same(merged_of(resumed), merged_of(whole), f"{what} gives other bits; keep all that it needs in the state")
    assert_same(resumed.state_dict(), whole.state_dict(), f"{what} has another state")


def _check_blocks(make: Make) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        models, merged = rough_models(203, dtype), []
        for size in (1, 7, 64, 2**18):
            with blocks_of(size):
                merged.append(merge(_scaled(make, 0.7), models))
            assert_same(
                merged[-1],
                merged[0],
                f"In blocks of {size} {dtype} elements the result has other bits than in blocks of one; treat each "
                "element by itself, or set whole_parameters = True",
            )
        assert merged[0]["weight"].dtype == dtype, f"Weights of {dtype} come back as {merged[0]['weight'].dtype}"


def _check_threads(make: Make) -> None:
    models, threads, merged = rough_models(300_001, torch.float32), torch.get_num_threads(), {}
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            merged[number] = merge(_scaled(make, 0.7), models)
    finally:
        torch.set_num_threads(threads)
    assert_same(
        merged[1],
        merged[3],
        "With three threads the result has other bits than with one; write to nothing that blocks share, and add up in "
        "a fixed order",
    )


def _check_layouts(make: Make) -> None:
    ordinary = [{"weight": model["weight"].view(59, 17)} for model in rough_models(1003, torch.float32)]
    transposed = [{"weight": model["weight"].t().contiguous().t()} for model in ordinary]
    wrapped = [{"weight": torch.nn.Parameter(model["weight"])} for model in ordinary]
    expected = merge(_scaled(make, 0.7), ordinary)
    for kind, models in (("transposed in memory", transposed), ("parameters of a module", wrapped)):
        merged = merge(_scaled(make, 0.7), models)
        assert_same(merged, expected, f"Weights that are {kind} give other bits; make contiguous copies")
        assert not merged["weight"].requires_grad, "The merged weights require a gradient; detach them"


def _check_half_types(make: Make) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        half = rough_models(501, dtype)
        single = [{"weight": model["weight"].float()} for model in half]
        rounded = {"weight": merge(_scaled(make, 0.7), single)["weight"].to(dtype)}
        assert_same(
            merge(_scaled(make, 0.7), half),
            rounded,
            f"Weights of {dtype} have to be merged in float32 and rounded once, at the end; compute in block.vector's "
            "type",
        )


def _check_mixed_types(make: Make) -> None:
    values = torch.randint(-40, 40, (80,), generator=torch.Generator().manual_seed(0)) / 4
    finetuned = [{"a": values[:40].roll(t), "b": values[40:].roll(t)} for t in range(3)]
    pretrained = {"a": torch.zeros(40, dtype=torch.float64), "b": torch.zeros(40, dtype=torch.bfloat16)}
    merged = merge(_scaled(make, 1.0), [pretrained, *finetuned])
    uniform = merge(_scaled(make, 1.0), [{name: torch.zeros(40) for name in "ab"}, *finetuned])
    assert kinds(merged) == kinds(pretrained), f"The merged model has {kinds(merged)}, not {kinds(pretrained)}"
    for name, tensor in merged.items():
        expected = uniform[name].to(tensor.dtype).float()
        assert torch.allclose(tensor.float(), expected, rtol=1.3e-6, atol=1e-5), (
            f"Beside a parameter of another type, one of {tensor.dtype} is merged otherwise than alone"
        )


def _check_refusals(make: Make) -> None:
    pretrained = {"layer.weight": torch.zeros(2, 3), "layer.bias": torch.zeros(2), "steps": torch.tensor(1)}
    good = {name: torch.ones_like(tensor) for name, tensor in pretrained.items()}
    without_bias = {name: tensor for name, tensor in good.items() if name != "layer.bias"}
    for why, named, bad in (
        ("lacks a parameter", "layer.bias", without_bias),
        ("has an unknown parameter", "other", good | {"other": torch.ones(1)}),
        ("has another shape", "layer.bias", good | {"layer.bias": torch.ones(3)}),
        ("has another shape of the same size", "layer.weight", good | {"layer.weight": torch.ones(3, 2)}),
        ("has a buffer of another shape", "steps", good | {"steps": torch.ones(1, dtype=torch.int64)}),
        ("has a NaN", "layer.weight", good | {"layer.weight": torch.full((2, 3), torch.nan)}),
        ("has an infinite value", "layer.bias", good | {"layer.bias": torch.tensor([0.0, torch.inf])}),
        ("has both infinities", "layer.bias", good | {"layer.bias": torch.tensor([-torch.inf, torch.inf])}),
        ("is complex", "layer.bias", good | {"layer.bias": torch.ones(2, dtype=torch.complex64)}),
        ("is quantized", "layer.bias", good | {"layer.bias": torch.ones(2, dtype=torch.int8)}),
    ):
        _check_refusal(make, why, named, pretrained, good, bad)
    assert_refused("is missing, since the list is empty,", "finetuned", make().merge, pretrained, [])


def _check_refusal(make: Make, why: str, named: str, pretrained: Weights, good: Weights, bad: Weights) -> None:
    merger = make()
    assert_refused(why, named, merge, merger, [pretrained, good, bad])
    running = RunningMerge(merger, pretrained)
    running.add(good, made_up_statistics(merger, pretrained, 1))
    merged, state = merged_of(running), running.state_dict()
    assert_refused(why, named, running.add, bad, made_up_statistics(merger, pretrained, 2))
    what = f"A task whose model {why} is refused, but leaves a trace; check it before anything is changed"
    assert running.tasks == 1, what
    assert_same(merged_of(running), merged, what)
    assert_same(running.state_dict(), state, what)


def _check_any_order(make: Make) -> None:
    pretrained, *finetuned = rough_models(203, torch.float64)
    merged = [merge(make(), [pretrained, *order])["weight"] for order in itertools.permutations(finetuned)]
    same = all(torch.allclose(other, merged[0], rtol=1e-9, atol=1e-9) for other in merged)
    assert same, "The order of the tasks changes the result; leave any_order out if it may"


def _scaled(make: Make, scaling: float) -> BaseMerger:
    merger = make()
    merger.scaling = scaling
    return merger
