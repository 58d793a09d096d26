"""Made-up records with all that a real one has, and of its size."""

import numpy as np

from cl_bench.store import write_result

KINDS = ("task_agnostic", "task_aware")


def record(scenario="made_up_20", method="sequential_magmax", seed=5, value=61.25, tasks=5, **more):
    """One run; its numbers are drawn from its seed, but for the headline, which is `value`."""
    trainer, _, merger = method.partition("_")
    random = np.random.default_rng(seed)
    found = {
        "accuracy": {"task_agnostic": value, "task_aware": 88.5},
        "accuracy_after_task": {kind: [*random.uniform(0, 100, tasks).tolist(), value] for kind in KINDS},
        "metrics": {kind: {"average_accuracy": 60.0, "forgetting_max_minus_last": 7.5} for kind in KINDS},
        "matrix": {kind: random.uniform(0, 100, (tasks + 1, tasks)).tolist() for kind in KINDS},
    }
    return {
        "choices": {"scenario": scenario, "trainer": trainer, "merger": merger},
        "scenario": {"name": scenario, "datasets": ["made_up"], "kind": "class-incremental", "tasks": tasks},
        "config": {
            "method": method,
            "seed": seed,
            "optim": {"lr": 1e-5, "epochs": 10, "batch_size": 128, "optimizer": {"_target_": "torch.optim.AdamW"}},
            "merger": {"_target_": "cl_bench.mergers.MagMax", "scaling": 0.5},
            "scenario": {"_target_": "cl_bench.scenarios.ClassIncremental", "tasks": tasks, "class_order": "published"},
            "logger": {"save_dir": "/somewhere/else"},
        },
        "fingerprint": f"{scenario} {trainer} {seed}",
        "split": "test",
        "headline": {"name": "accuracy.task_agnostic", "value": value},
        **found,
        "left_out": {},
        "scalings": None,
        "finetuned": found,
        "tasks": [
            {"name": f"class {5 * t} to class {5 * t + 4}", "classes": 5, "images": 500, "training_images": 2000}
            for t in range(tasks)
        ],
        "datasets": [{"name": "made_up", "split": "official", "sha256": "0" * 64, "images": "1" * 64}],
        "training": [{"seconds": 60.0, "peak_memory_mib": 9000.0, "steps": 400, "reused": False}] * tasks,
        "seconds": {"training": 60.0 * tasks, "merging": 1.5, "evaluation": 30.0},
        "peak_memory_mib": {"training": 9000.0, "merging": None, "evaluation": 4000.0},
        "seed": seed,
        "devices": {"kind": "made-up device", "count": 1},
        "versions": {"python": "3.11.7", "cl_bench": "0.1.0", "torch": "2.15.0"},
        **more,
    }


def scaling(value, accuracy, validation=None, chosen=False):
    """What a record says of one of several λ."""
    return {
        "scaling": value,
        "validation": validation,
        "chosen": chosen,
        "accuracy": {"task_agnostic": accuracy, "task_aware": 90.0},
    }


def write(folder, *records):
    """Each record in a folder of its own, numbered like Hydra's."""
    for number, one in enumerate(records):
        write_result(folder / str(number) / "result.json", one)
