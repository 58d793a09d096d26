"""Records as runs leave them, with numbers of the test's own."""

from cl_bench.store import write_result

KINDS = {
    "ClassIncremental": "class-incremental",
    "DomainIncremental": "domain-incremental",
    "SeveralDatasets": "dataset-incremental",
}
ORDERS = {"ClassIncremental": "class_order", "DomainIncremental": "domain_order", "SeveralDatasets": "dataset_order"}


def record(method, scenario, seed, value, changes=(), **more):
    """`changes` are settings under dotted names, such as `optim.batch_size`."""
    trainer, _, merger = method.rpartition("_") if "_" in method else (method, "", "last")
    kind = more.pop("kind", "DomainIncremental" if scenario in ("domainnet", "office31") else "ClassIncremental")
    result = {
        "choices": {"scenario": scenario, "trainer": trainer, "merger": merger},
        "scenario": {"name": scenario, "datasets": [scenario], "kind": KINDS[kind], "tasks": 2},
        "config": {
            "method": method,
            "backbone": {"_target_": "cl_bench.backbones.OpenClip", "model": "ViT-B-16-quickgelu"},
            "optim": {"lr": 1e-5, "epochs": 10, "batch_size": 128, "optimizer": {"weight_decay": 0.1}},
            "lightning": {"precision": "32-true", "limit_train_batches": None},
            "trainer": {"_target_": f"cl_bench.trainers.{trainer}"},
            "merger": {"_target_": f"cl_bench.mergers.{merger}", "scaling": 0.5},
            "scenario": {"_target_": f"cl_bench.scenarios.{kind}", ORDERS[kind]: "published", "validation_share": 0.0},
        },
        "fingerprint": f"{trainer}-{scenario}-{seed}",
        "split": "test",
        "headline": {"name": "accuracy.task_agnostic", "value": value},
        "metrics": {"task_agnostic": {"forgetting_max_minus_last": None if method == "zero_shot" else 100 - value}},
        "matrix": {"task_agnostic": [[10.0, 20.0]]},
        "left_out": {},
        "training": [] if method == "zero_shot" else [{"seconds": 1.0, "steps": 3}],
        "datasets": [{"name": scenario, "sha256": f"{scenario:0<64}", "images": f"{scenario:0<64}"}],
        "seed": seed,
        "devices": {"kind": "cpu", "count": 1},
        "versions": {"cl_bench": "0.1.0", "torch": "2.15.0", "open_clip_torch": "3.3.0"},
        **more,
    }
    for name, setting in dict(changes).items():
        *path, last = name.split(".")
        node = result["config"]
        for key in path:
            node = node.setdefault(key, {})
        node[last] = setting
    return result


def write(folder, *records):
    """One `result.json` for each record, as a sweep lays them down."""
    for result in records:
        place = (result["choices"]["scenario"], result["config"]["method"], f"seed_{result['seed']}")
        write_result(folder.joinpath(*place) / "result.json", result)
