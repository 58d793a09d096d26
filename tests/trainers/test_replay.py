"""Replay against a loop that chooses and draws image by image."""

from collections import Counter

import pytest
import torch
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.runtime import distributed, seeds
from cl_bench.trainers import Replay, Sequential
from cl_bench.trainers.parts.replay_buffer import ReplayBuffer
from cl_bench.trainers.replay import ReplayOrder
from cl_bench.trainers.statistics import STATISTICS
from tests.helpers.small import head
from tests.trainers import streams


def _rows(samples):
    """What tells images apart, with their labels."""
    images = [samples.sources[source][row].tobytes() for source, row in samples.rows]
    return list(zip(images, samples.labels.tolist(), strict=True))


def _chosen(tasks, size, choice, seed):
    """The buffer after some tasks, chosen from all of their images at once."""
    images = [
        (number, task, position, label)
        for task, samples in enumerate(tasks)
        for position, (number, label) in enumerate(
            zip(
                torch.rand(len(samples), generator=seeds.generator(seed, task, "replay"), dtype=torch.float64).tolist(),
                samples.labels.tolist(),
                strict=True,
            )
        )
    ]
    images.sort()
    if choice == "class_balanced":
        seen = Counter()
        turns = []
        for image in images:
            turns.append((seen[image[3]], image))
            seen[image[3]] += 1
        images = [image for _, image in sorted(turns)]
    return [(task, position) for _, task, position, _ in images[:size]]


@pytest.mark.parametrize("choice", ["reservoir", "class_balanced"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_buffer_holds_what_would_be_chosen_from_all_images_at_once(choice, size):
    buffer, tasks = ReplayBuffer(size, choice, seed=4), []
    for experience in (*streams.STREAM.train_stream, *streams.STREAM.train_stream):  # classes come back
        tasks.append(experience.samples)
        buffer.add(experience.samples)
        expected = _chosen(tasks, size, choice, seed=4)
        assert _rows(buffer.samples) == [_rows(tasks[task])[position] for task, position in expected]
        assert buffer.samples.groups.tolist() == [task for task, _ in expected]


def test_the_reservoir_keeps_every_image_equally_often():
    counts = Counter()
    for seed in range(600):
        buffer = ReplayBuffer(15, "reservoir", seed)
        for experience in streams.STREAM.train_stream:
            buffer.add(experience.samples)
        counts.update(buffer.samples.groups.tolist())
    expected = 600 * 15 / 3
    assert all(abs(counts[task] - expected) < 4 * (expected * 2 / 3) ** 0.5 for task in range(3))


def test_balanced_classes_differ_by_one_image_at_most():
    buffer = ReplayBuffer(15, "class_balanced", seed=0)
    for experience in streams.STREAM.train_stream:
        buffer.add(experience.samples)
    assert sorted(Counter(buffer.samples.labels.tolist()).values()) == [2, 2, 2, 3, 3, 3]


def test_what_is_drawn_depends_on_the_step_alone_and_processes_share_it(monkeypatch):
    def drawn(steps, rank=0, processes=1):
        monkeypatch.setattr(distributed, "rank", lambda: rank)
        monkeypatch.setattr(distributed, "world_size", lambda: processes)
        return list(ReplayOrder(streams.STREAM.train_stream[0].samples, 7, 5, steps))

    alone = drawn(range(3, 6))
    for (positions, draws, size), late in zip(alone[1:], drawn(range(4, 6)), strict=True):
        assert torch.equal(positions, late[0]) and torch.equal(draws, late[1])
        assert size == len(set(positions.tolist())) == 7
    for rank in range(2):
        for whole, share in zip(alone, drawn(range(3, 6), rank, 2), strict=True):
            assert torch.equal(whole[0][rank::2], share[0]) and torch.equal(whole[1][:, rank::2], share[1])
            assert share[2] == 7


def _plain(stream, size, replayed):
    rows = head().double()

    def loss(task, step, encoder, images, labels):
        earlier = [experience.samples for experience in stream.train_stream[:task]]
        chosen = _chosen(earlier, size, "reservoir", seed=0)
        random = seeds.generator(seeds.derive(streams.SEED, task, "training"), "replay", step)
        positions = torch.randperm(len(chosen), generator=random)[:replayed]
        draws = batches.draw_crops(len(positions), random)
        one_by_one = [(task, image, label) for image, label in zip(images, labels, strict=True)]
        for i, position in enumerate(positions.tolist()):
            of_task, place = chosen[position]
            crop = [(torch.tensor([place]), draws[:, i : i + 1], 1)]
            ((image, label),) = streams.images_of(earlier[of_task], crop)
            one_by_one.append((of_task, image[0], label[0]))
        total = 0
        for of_task, image, label in one_by_one:
            seen = [of_task] if stream is streams.DATASETS else range(task + 1)
            classes = [c for t in seen for c in streams.classes_of(t, stream)]
            logits = functional.normalize(encoder(image[None]), dim=1) @ rows[classes].T
            total = total + functional.cross_entropy(logits, torch.tensor([classes.index(int(label))]))
        return total / len(one_by_one)

    return streams.plain_loop(loss, stream=stream)


@pytest.mark.parametrize(
    ("stream", "size", "replayed"),
    [(streams.STREAM, 3, None), (streams.STREAM, 11, 2), (streams.DATASETS, 11, None)],
    ids=["all of a small buffer", "two a step", "labels of their own"],
)
def test_a_stream_equals_the_plain_loop(stream, size, replayed):
    trained = streams.trained(Replay, stream=stream, buffer_images=size, replay_batch_size=replayed)
    streams.assert_same_streams(trained, _plain(stream, size, replayed or streams.SETTINGS.batch_size))
    assert streams.distance(trained[-1], streams.without_help(stream=stream)) > 1e-3


@pytest.mark.parametrize("name", ["fisher_diagonal", "squared_gradients"])
def test_statistics_are_those_of_the_tasks_own_data_set(name):
    replay, weights = streams.made(Replay, stream=streams.DATASETS, keep=frozenset({name}))
    plain, _ = streams.made(Sequential, stream=streams.DATASETS)
    for task, experience in enumerate(streams.DATASETS.train_stream):
        weights, statistics = streams.learned(replay, task, weights, stream=streams.DATASETS)
        seeds.reseed(streams.SEED, task, "training")
        plain.begin_task(weights, experience, steps=1)
        expected = STATISTICS[name](plain)
        assert statistics[name].keys() == expected.keys()
        assert all(torch.equal(statistics[name][key], expected[key]) for key in expected)


def test_process_groups_can_write_to_the_class_masks():
    trainer, pretrained = streams.made(Replay)
    for experience in streams.STREAM.train_stream:
        trainer.begin_task(pretrained, experience, steps=1)
        trainer.class_masks.copy_(trainer.class_masks.clone())
        trainer.remember(experience, pretrained, {})
