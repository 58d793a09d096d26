"""Every image once, the same batches whatever the number of processes."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data._utils.pin_memory import pin_memory

from cl_bench.images import batches
from cl_bench.images.images import Images
from cl_bench.images.samples import Samples
from cl_bench.images.transforms import ImageTransform, crop_boxes
from cl_bench.runtime import distributed
from tests.helpers.small import TRANSFORM, SmallEncoder, scenario
from tests.scenarios.conftest import make_dataset

SAMPLES = scenario().joint().samples
LABELS = np.zeros(5, dtype=np.int64)


def _as_rank(monkeypatch, rank, world):
    monkeypatch.setattr(distributed, "rank", lambda: rank)
    monkeypatch.setattr(distributed, "world_size", lambda: world)


@pytest.mark.parametrize("world", [1, 2, 3, 7])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 100])
def test_an_epoch_over_several_processes_is_the_epoch_of_one(monkeypatch, world, batch_size):
    (alone,) = _epochs(monkeypatch, 1, batch_size)
    shares = _epochs(monkeypatch, world, batch_size)
    assert sorted(torch.cat([positions for positions, _, _ in alone]).tolist()) == list(range(len(SAMPLES)))
    for step, (positions, draws, size) in enumerate(alone):
        together = torch.cat([share[step].positions for share in shares])
        assert sorted(together.tolist()) == sorted(positions.tolist())
        assert size == len(positions) == shares[-1][step].global_size
        mine = shares[0][step]
        assert torch.equal(mine.draws, draws[:, ::world]) and torch.equal(mine.positions, positions[::world])


def _epochs(monkeypatch, world, batch_size):
    shares = []
    for rank in range(world):
        _as_rank(monkeypatch, rank, world)
        shares.append(list(batches.TrainingOrder(SAMPLES, batch_size, seed=1, task=0)))
    return shares


def test_seed_task_and_epoch_each_give_another_order():
    def order(seed, task, epoch):
        sampler = batches.TrainingOrder(SAMPLES, 8, seed, task, epochs=epoch + 1)
        return torch.cat([request.positions for request in list(sampler)[-sampler.steps_per_epoch :]]).tolist()

    orders = [order(1, 0, 0), order(2, 0, 0), order(1, 1, 0), order(1, 0, 1)]
    assert all(orders[0] != other for other in orders[1:]) and orders[0] == order(1, 0, 0)


@given(
    epochs=st.integers(1, 3),
    limit=st.sampled_from([(None, 9), (1, 1), (3, 3), (0.5, 4), (1.0, 9), (100, 9)]),
    data=st.data(),
)
def test_what_is_left_of_a_task_is_its_end(epochs, limit, data):
    limit, expected = limit
    whole = batches.TrainingOrder(SAMPLES, 7, 1, 2, epochs, limit)
    requests = list(whole)
    assert len(requests) == len(whole) == whole.steps == epochs * whole.steps_per_epoch
    assert whole.steps_per_epoch == expected
    done = data.draw(st.integers(0, whole.steps))
    rest = batches.TrainingOrder(SAMPLES, 7, 1, 2, epochs, limit, done)
    left = list(rest)
    assert len(left) == len(rest) == whole.steps - done and rest.steps == whole.steps
    for one, other in zip(left, requests[done:], strict=True):
        assert torch.equal(one.positions, other.positions) and torch.equal(one.draws, other.draws)


@given(world=st.integers(1, 5), batch_size=st.integers(1, 80))
def test_evaluation_counts_every_image_once(world, batch_size):
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen = []
        for rank in range(world):
            _as_rank(monkeypatch, rank, world)
            order = batches.EvaluationOrder(SAMPLES, batch_size)
            requests = list(order)
            assert len(requests) == len(order)
            seen += [position for request in requests for position in request.positions.tolist()]
    assert sorted(seen) == list(range(len(SAMPLES)))


def test_evaluation_of_a_group_counts_its_images_alone(monkeypatch):
    samples, seen = Samples.concatenate([SAMPLES, SAMPLES], [0, 1]), []
    for rank in range(3):
        _as_rank(monkeypatch, rank, 3)
        seen += [one for request in batches.EvaluationOrder(samples, 7, 1) for one in request.positions.tolist()]
    assert sorted(seen) == list(range(len(SAMPLES), 2 * len(SAMPLES)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_batch_holds_the_images_of_its_labels_also_from_several_arrays(workers):
    one, other = make_dataset(3, seed=1).train, make_dataset(4, seed=2).train
    parts = [
        Samples.select(one, torch.arange(len(one)).numpy()),
        Samples.select(other, torch.arange(9).numpy(), 3),
    ]
    samples = Samples.concatenate(parts, [0, 1])
    loader = batches.loader(samples, batches.TrainingOrder(samples, 5, seed=0, task=0), TRANSFORM, workers)
    seen = []
    for batch in loader:
        images = batches.to_images(batch._replace(parts=[part._replace(crops=None) for part in batch.parts]), TRANSFORM)
        for image, label, group in zip(images, batch.labels, batch.groups, strict=True):
            seen.append((image.mul(127.5).add(127.5).round().numpy().tobytes(), int(label), int(group)))
    expected = []
    for group, data, shift in ((0, one, 0), (1, other, 3)):
        for pixels, label in zip(data.pixels[: len(data) if group == 0 else 9], data.labels, strict=False):
            expected.append((pixels.transpose(2, 0, 1).astype("float32").tobytes(), int(label) + shift, group))
    assert sorted(seen) == sorted(expected)


class _Pictures:
    """Images of several sizes, one by one."""

    def __init__(self, shapes, seed=0):
        random = np.random.default_rng(seed)
        self.images = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
        self.identity = str(seed)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("resampling", ["batched", "pillow"])
def test_images_of_many_sizes_beside_an_array_keep_their_places_and_crops(workers, resampling):
    transform = ImageTransform(16, (0.5,) * 3, (0.5,) * 3, resampling)
    pictures = _Pictures([(20, 30), (16, 16), (40, 17), (9, 12), (25, 25)])
    array = make_dataset(2, 3).train
    everything = [Samples.select(images, np.arange(len(images))) for images in (Images(pictures, LABELS), array)]
    samples = Samples.concatenate(everything, [0, 1])
    assert not samples.in_arrays and everything[1].in_arrays
    order = batches.TrainingOrder(samples, 4, seed=0, task=0)
    for request, batch in zip(order, batches.loader(samples, order, transform, workers), strict=True):
        images = batches.to_images(batch, transform)
        for place, position in enumerate(request.positions.tolist()):
            source = pictures[position] if position < 5 else array.pixels[position - 5]
            draws = request.draws[:, place : place + 1]
            if position < 5:
                alone = transform(transform.squares([source], draws))
            else:
                alone = transform(torch.from_numpy(source[None]), crop_boxes(torch.tensor([[8, 8]]), draws))
            assert torch.allclose(images[place], alone[0], atol=1.01 / 127.5)
            assert batch.labels[place] == samples.labels[position] and batch.groups[place] == (position >= 5)


def test_requests_share_no_memory():
    """A thread hands each to a worker and moves its memory meanwhile: what others share with it would be lost."""
    samples = Samples.select(make_dataset(2, 6).train, np.arange(12))
    for order in (batches.TrainingOrder(samples, 4, seed=0, task=0), batches.EvaluationOrder(samples, 4)):
        requests = list(order)
        assert len(requests) == 3
        for tensor in (part for request in requests for part in request[:2] if part is not None):
            assert tensor.untyped_storage().nbytes() == tensor.nbytes


def test_images_in_arrays_need_no_workers_and_others_get_them():
    pictures = Samples.select(Images(_Pictures([(20, 30)] * 5), LABELS), np.arange(5))
    for samples, least in ((SAMPLES, 0), (pictures, 1)):
        workers = batches.loader(samples, batches.EvaluationOrder(samples, 4), TRANSFORM, None).num_workers
        assert (workers > 0) == bool(least) and workers <= 8


def test_evaluation_of_fewer_images_than_processes(monkeypatch):
    few = Samples.select(make_dataset(2, 1).train, np.arange(2))
    seen = []
    for rank in range(5):
        _as_rank(monkeypatch, rank, 5)
        for batch in batches.loader(few, batches.EvaluationOrder(few, 4), TRANSFORM, workers=0):
            images = batches.to_images(batch, TRANSFORM)
            assert batches.encoded(SmallEncoder(), images).shape == (len(batch.labels), 5)
            seen += batch.labels.tolist()
    assert sorted(seen) == [0, 1]


@pytest.mark.parametrize(
    ("free", "asked", "workers", "told"),
    [
        (2**40, 99, 2, "lightning.workers=99: 2 fetch"),
        (2**40, 1, 1, ""),
        (None, 2, 2, ""),
        (2**12, 2, 0, "/dev/shm has 0 MiB free"),
        (0, 1, 0, "docker run --shm-size"),
    ],
)
def test_workers_are_as_many_as_cores_and_shared_memory_allow(monkeypatch, caplog, free, asked, workers, told):
    monkeypatch.setattr(batches, "available_cores", lambda: 2)
    monkeypatch.setattr(batches, "_free_shared_memory", lambda: free)
    batches._say.cache_clear()
    caplog.set_level("INFO")
    for _ in range(2):
        order = batches.EvaluationOrder(SAMPLES, 4)
        assert batches.loader(SAMPLES, order, TRANSFORM, asked).num_workers == workers
    assert told in caplog.text and len(caplog.records) == bool(told)


def test_shared_memory_that_is_missing_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(batches.sys, "platform", "linux")
    monkeypatch.setattr(batches, "_SHARED_MEMORY", str(tmp_path / "none"))
    assert batches._free_shared_memory() == 0
    monkeypatch.setattr(batches, "_SHARED_MEMORY", str(tmp_path))
    assert batches._free_shared_memory() > 0


def test_page_locked_batches_are_the_same_batches(monkeypatch):
    locked = []

    def lock(tensor, device=None):
        locked.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", lock)
    (request,) = batches.EvaluationOrder(SAMPLES, len(SAMPLES))
    before = batches.loader(SAMPLES, [request], TRANSFORM, workers=0).dataset[request]
    after = pin_memory(before)  # as the loader does where there is a GPU
    assert type(after) is batches.Batch and type(after.parts[0]) is batches.Part and len(locked) == 4
    assert after.global_size == before.global_size and after.parts[0].crops is None
    assert torch.equal(after.parts[0].pixels, before.parts[0].pixels) and torch.equal(after.labels, before.labels)


@pytest.mark.parametrize("size", [(8, 8), (12, 9)], ids=["of the size that is read", "of another size"])
def test_nothing_waits_for_a_value_that_a_device_computes(monkeypatch, size):
    """Tensors on the device `meta` have no values, so whoever asks for one fails."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # which does not know `meta`
    pixels, crops = torch.zeros(2, *size, 3, dtype=torch.uint8), torch.tensor([[0, 0, 8, 8]] * 2)
    part = batches.Part(pixels, None, torch.arange(2))
    batch = batches.Batch([part], torch.zeros(2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64), 2)
    there = batches.on_device(batch, torch.device("meta"))
    assert {tensor.device.type for tensor in (*there.parts[0][::2], *there[1:3])} == {"meta"}
    assert batches.to_images(there, TRANSFORM).shape == (2, 3, 8, 8)
    assert TRANSFORM(pixels.to("meta"), crops.to("meta")).device.type == "meta"
