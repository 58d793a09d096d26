"""A made-up record with what pictures and the scripts of `docs/` read, for any number of tasks."""

import numpy as np


def record(tasks=3, joint=False, finetuned=True, **more):
    rows = 2 if joint else tasks + 1
    random = np.random.default_rng(0)
    kinds = ("task_agnostic", "task_aware")
    values = {
        "accuracy": {"task_agnostic": 61.25, "task_aware": 88.5},
        "accuracy_after_task": {kind: [12.5] * (rows - 1) + [61.25] for kind in kinds},
        "metrics": {kind: {"forgetting_max_minus_last": 7.5, "average_accuracy": 60.0} for kind in kinds},
        "matrix": {kind: random.uniform(0, 100, (rows, tasks)).tolist() for kind in kinds},
    }
    return {
        "schema": 3,
        "choices": {"scenario": "made_up", "trainer": "sequential", "merger": "magmax"},
        "scenario": {"name": "made_up", "datasets": ["made_up"], "kind": "class-incremental", "tasks": tasks},
        "datasets": [{"name": "made_up", "images": "0" * 64}],
        "tasks": [{"name": f"task {i}"} for i in range(tasks)],
        "config": {"method": "sequential_magmax", "optim": {"lr": 2e-4}},
        "split": "test",
        "seed": 5,
        "fingerprint": "f",
        "headline": {"name": "accuracy.task_agnostic", "value": 61.25},
        **values,
        "left_out": {},
        "scalings": None,
        "finetuned": values if finetuned else None,
        "training": [{"seconds": 1.0, "reused": i > 0, "steps": 3} for i in range(1 if joint else tasks)],
        "seconds": {"training": 3.0, "merging": 0.1, "evaluation": 0.2},
        "versions": {"torch": "0"},
        **more,
    }
