"""Every file in multirun_configs: that its jobs compose, what they are told, and how few trainings they need."""

from functools import cache

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cl_bench.experiment.parts import build
from cl_bench.store import fingerprint
from tests.conftest import ROOT

SWEEPS = [path.stem for path in sorted((ROOT / "multirun_configs" / "sweep").glob("*.yaml"))]
METHODS = [path.stem for path in sorted((ROOT / "multirun_configs" / "method").glob("*.yaml"))]
TRAINERS = [path.stem for path in sorted((ROOT / "conf" / "trainer").glob("*.yaml"))]
TABLES = ("table_cil", "table_dil", "table_8ds", "table_ablation")
OVER_ORDERS = ("table_opcm", "table_mtil")
OF_THE_ISSUE = ("lambda", "seeds", *TABLES, "task_order")

SCALING = {"RandMix": 1, "Average": 1, "MagMax": 0.5, "Ties": 0.55, "Last": 1, "CMM": 1}
EPOCHS = {"cifar100": 10, "imagenet": 10, "cub200": 30, "cars": 30, "domainnet": 10, "office31": 10, "office": 10}
EPOCHS |= {"image": 10, "eight": None}


@pytest.fixture(scope="module")
def hydra():
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def of_sweep(sweep):
    return compose("config", [f"+sweep={sweep}", "logger.save_dir=."], return_hydra_config=True)


def jobs(sweep, *overrides):
    """The overrides of each job, taken apart as Hydra's own sweeper does it."""
    params = OmegaConf.to_container(of_sweep(sweep).hydra.sweeper.params)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())  # which knows all choices
    parsed = parser.parse_overrides([*(f"{k}={v}" for k, v in params.items()), *overrides])
    (batch,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    return batch


def job_config(sweep, job, *overrides):
    config = compose("config", [f"+sweep={sweep}", *job, *overrides, "logger.save_dir=."])
    return OmegaConf.to_container(config, resolve=True)


def values(sweep, key):
    return {value for job in jobs(sweep) for name, _, value in [o.partition("=") for o in job] if name == key}


@pytest.mark.parametrize("method", METHODS)
def test_methods_name_their_trainer_and_merger(hydra, method):
    config = job_config("table_cil", [f"+method={method}"])
    trainer, merger = (config[group]["_target_"].rpartition(".")[2].lower() for group in ("trainer", "merger"))
    name, _, left_out = method.partition("_without_")
    name = name.removesuffix("_with_second_moments").removesuffix("_of_classes")
    assert config["method"] == method and (trainer + merger).startswith(name.replace("_", ""))
    parts = {"tangent": ("trainer", False), "refinement": ("trainer", None), "second_moments": ("merger", False)}
    for part, (group, off) in parts.items() if name == "cmm" else ():
        assert (config[group][part] == off) == (part == left_out)


@pytest.mark.parametrize(
    "name", [f"{sweep}{size}" for sweep in (*OF_THE_ISSUE, *OVER_ORDERS) for size in ("", "_mini")]
)
def test_there_is_a_sweep_of_each_name_with_a_folder_of_that_name(hydra, name):
    config = of_sweep(name)
    assert config.hydra.mode.name == "MULTIRUN" and config.hydra.sweep.dir == f"multirun/{name}"


@cache
def composed(sweep):
    """Jobs with their configurations and folders: those that differ from the first in one thing, which are enough."""
    every, found = jobs(sweep), []
    for job in [job for job in every if sum(a != b for a, b in zip(job, every[0], strict=True)) <= 1]:
        config = compose("config", [f"+sweep={sweep}", *job, "logger.save_dir=."], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        own = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
        found.append((job, OmegaConf.to_container(own, resolve=True), config.hydra.sweep.subdir))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("sweep", [sweep for sweep in SWEEPS if sweep != "optuna"])
def test_each_job_composes_and_has_a_folder_of_its_own(hydra, sweep):
    folders = [folder for _, _, folder in composed(sweep)]
    assert len(set(folders)) == len(folders)
    swept = "order" if "task_order" in of_sweep(sweep).hydra.sweeper.params else "seed"
    assert all(f"{swept}_" in folder for folder in folders)


@pytest.mark.slow
@pytest.mark.parametrize("sweep", OF_THE_ISSUE)
def test_published_scenarios_have_the_published_settings(hydra, sweep):
    for job, config, _ in composed(sweep):
        scenario = next(o for o in job if o.startswith("scenario=")).partition("=")[2]
        optim, scaling = config["optim"], config["merger"]["scaling"]
        assert (optim["lr"], optim["batch_size"], optim["warmup_steps"], optim["warmup_ratio"]) == (
            1e-5,
            128,
            500,
            None,
        )
        assert (optim["optimizer"]["weight_decay"], optim["gradient_clip"]) == (0.1, 1.0)
        assert optim["epochs"] == EPOCHS[scenario.partition("_")[0]]
        assert config["backbone"]["model"] == "ViT-B-16-quickgelu"
        assert isinstance(scaling, list) or scaling == SCALING[config["merger"]["_target_"].rpartition(".")[2]]
        assert config["evaluation"]["split"] == "test" and config["scenario"]["validation_share"] == 0
        assert config["lightning"]["limit_train_batches"] is None
        if sweep != "task_order":
            order = None if sweep == "table_8ds" else "published"  # the 8 data sets are numbered in that order
            assert config["task_order"] == order


def test_the_tables_have_the_methods_and_scenarios_of_the_papers(hydra):
    for size in ("", "_mini"):
        for table in TABLES:
            assert values(table + size, "seed") == {"3", "4", "5"}
        for table in ("table_cil", "table_dil", "table_8ds"):
            methods = values(table + size, "+method")
            assert len(methods) == 13 and {"zero_shot", "joint", "ewc", "lwf", "independent_ties", "cmm"} <= methods
        assert {"ewc_magmax", "lwf_magmax", "sequential_ties"} <= values("table_ablation" + size, "+method")
    assert len(values("table_cil", "scenario")) == 14 and len(values("table_dil", "scenario")) == 5
    assert len(values("task_order", "task_order")) == len(values("seeds", "seed")) == 10


def test_experts_are_merged_in_the_ten_published_orders(hydra):
    published = {f"published_{seed}" for seed in range(42, 52)}
    assert values("orders", "task_order") == values("table_opcm", "task_order") == published
    assert values("table_opcm", "scenario") == {"eight_datasets", "fourteen_datasets", "twenty_datasets"}
    assert values("table_opcm", "backbone") == {"vit_b_32", "vit_b_16", "vit_l_14"}
    assert len(values("table_opcm_mini", "task_order")) == 10 and len(values("table_opcm_mini", "merger")) == 6
    for sweep in ("orders", "table_opcm", "table_opcm_mini"):
        assert job_config(sweep, jobs(sweep)[0])["trainer"]["_target_"] == "cl_bench.trainers.Imported"
    assert values("table_mtil", "scenario") == {"mtil", "x_tail"}


def test_the_sweep_over_trainers_has_them_all(hydra):
    others = {"tangent", "cmm"}  # which have a learning rate of their own
    learned_elsewhere, with_another_head = {"imported", "finished"}, {"ranpac"}
    assert values("trainers", "trainer") == set(TRAINERS) - others - learned_elsewhere - with_another_head
    assert "+sweep=trainers scenario=$* trainer=tangent,cmm" in (ROOT / "Makefile").read_text()
    for trainer, merger in {"si": "MagMax", "joint": "Last", "zero_shot": "Last", "cmm": "CMM"}.items():
        assert job_config("trainers", [f"trainer={trainer}"])["merger"]["_target_"] == f"cl_bench.mergers.{merger}"


@pytest.fixture(scope="module")
def streams(hydra, tmp_path_factory):
    """Fingerprints of a sweep's streams, by job."""
    store = tmp_path_factory.mktemp("store")

    def streams(sweep, *overrides):
        return {
            tuple(job): fingerprint(build(job_config(sweep, job, f"paths.store_dir={store}")).training)
            for job in jobs(sweep, *overrides)
        }

    return streams


@pytest.mark.slow
def test_8_mergers_with_20_scalings_and_3_seeds_train_3_streams(hydra, streams):
    found = streams("lambda_mini", "scenario=digits_5")
    config = job_config("lambda_mini", next(iter(found)))
    assert len(found) == 8 * 3 and len(set(config["merger"]["scaling"])) == 20
    assert len(set(found.values())) == 3
    assert set(found.values()) == set(
        streams("table_cil_mini", "scenario=digits_5", "+method=sequential_last").values()
    )


@pytest.mark.slow
def test_the_small_ablation_trains_only_what_the_small_table_does_not(streams):
    table = set(streams("table_cil_mini", "scenario=digits_5", "seed=3").values())
    ablation = {
        dict(o.split("=") for o in job)["+method"]: f for job, f in streams("table_ablation_mini", "seed=3").items()
    }
    assert len(table) == 8  # zero_shot, joint, sequential, ewc, lwf, independent, tangent, cmm
    new = {method for method, stream in ablation.items() if stream not in table}
    assert new == {"cmm_without_tangent", "cmm_without_second_moments", "cmm_without_refinement"}
    assert ablation["ewc"] == ablation["ewc_magmax"] and len(set(ablation.values())) == 4 + 3


def test_slurm_is_asked_for_the_nodes_and_devices_of_the_run(hydra):
    overrides = ("hydra/launcher=slurm", "lightning.nodes=2", "lightning.devices=4", "hydra.launcher.partition=gpu")
    config = compose("config", ["+sweep=seeds", *overrides, "logger.save_dir=."], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    asked = instantiate(config.hydra.launcher).params
    assert (asked["nodes"], asked["tasks_per_node"], asked["gpus_per_node"], asked["partition"]) == (2, 1, 4, "gpu")
    assert asked["timeout_min"] == 1440 and asked["submitit_folder"].endswith("multirun/seeds/.submitit/%j")
