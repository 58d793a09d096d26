"""All jobs of a sweep are looked at before the first is started."""

import time

import pytest

from cl_bench.experiment import check, scenario, settings
from cl_bench.launching import look_ahead
from tests.conftest import SHORT


@pytest.fixture
def checked(configure, tmp_path):
    """What is found in jobs that differ in the overrides given; each has a folder of its own."""

    def checked(*jobs, **options):
        def compose(number, overrides):
            return configure(*SHORT, *overrides), tmp_path / str(number)

        return look_ahead.check(jobs, compose, **options)

    return checked


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["merger.scaling=oops"], "merger.scaling='oops'"),
        (["+merger.nope=1"], "merger.nope is not a setting"),
        (["++optim.optimizer.betas=[2,3]"], "optim.optimizer: "),
        (["scenario.tasks=11"], "scenario.tasks=11"),
        (["task_order=[0,1]"], "order"),
        (["evaluation.split=validation"], "scenario.validation_share"),
        (["scenario.validation_share=0.999"], "scenario.validation_share"),
        (["trainer=head_only", "merger=regmean"], "grams"),
        (["trainer=cmm", "merger=ties"], "refines"),
        (["trainer.starts_from=merged", "merger.scaling=[0.2,0.4]"], "merger.scaling is a list"),
        (["merger=perturb_and_merge"], "start from the merged weights: add trainer.starts_from=merged"),
        (["merger=rescale", "merger@merger.of=perturb_and_merge"], "needs tasks that start from the merged weights"),
        (
            ["merger=rescale", "merger@merger.of=perturb_and_merge", "trainer.starts_from=merged"],
            "use it alone, with merger.scaling=1",
        ),
        (
            ["merger=perturb_and_merge", "merger.scaling=0.5", "trainer.starts_from=merged"],
            "use it alone, with merger.scaling=1",
        ),
        (["merger=nufilt", "trainer=head_only"], "there are none: matrices=all"),
        (["backbone.projection=nope"], "backbone.projection=nope"),
        (["trainer=lora", "trainer.rank=0"], "trainer.rank=0"),
        (["+logger.nope=1"], "logger.nope"),
        (["lightning.devices=99"], "lightning.devices=99"),
        (["paths.prepared_dir=[1]"], "paths.prepared_dir"),
        (["dataset._target_=cl_bench.datasets.office31.load", "+dataset.root=[1]", "~dataset.test"], "dataset.root"),
    ],
)
def test_a_mistake_of_any_kind_is_found(checked, overrides, named):
    found = checked([], overrides, here=True)
    assert [job for job, _ in found.mistakes] == [overrides]
    assert named in found.mistakes[0][1]


def test_right_jobs_have_none(checked):
    ways = ([], ["trainer=cmm"], ["trainer=lora"], ["trainer=tangent", "merger=fisher"], ["merger.scaling=[0.2,0.4]"])
    found = checked(*ways, ["scenario=glyphs_5", "~dataset.test"], here=True)
    assert not found.mistakes and not found.absent


def test_of_several_data_sets_only_those_that_arrive_are_read(configure, tmp_path):
    def found(order, *more):
        config = configure(
            "scenario=eight_datasets", "backbone=tiny_clip", f"task_order={order}", "optim.epochs=1", *more
        )
        return look_ahead.check([0], lambda number, job: (config, tmp_path))

    assert len(found("[mnist,svhn]").absent) == 1 and "svhn" not in found("[mnist]").absent[0][1]
    assert "names 'nothing'" in found("[nothing]").mistakes[0][1]
    assert not found("[mnist]", "scenario.datasets.mnist._target_=cl_bench.datasets.digits.load",
                     "~scenario.datasets.mnist.root").absent  # fmt: skip


def test_data_that_is_not_there_is_no_mistake_since_jobs_may_run_where_it_is(checked):
    found = checked(["dataset._target_=cl_bench.datasets.office31.load", "+dataset.root=nowhere", "~dataset.test"])
    assert not found.mistakes
    ((_, reason),) = found.absent
    assert "python -m cl_bench.datasets download office31" in reason


def test_devices_count_where_the_jobs_run(checked):
    assert not checked(["lightning=gpu", "lightning.devices=8"], here=False).mistakes
    two = ["lightning.devices=2"]
    assert "hydra.launcher.n_jobs" in checked(two, here=True, at_a_time=99).mistakes[0][1]


def test_two_jobs_of_one_folder_are_refused(configure, tmp_path):
    jobs = [["merger=last"], ["merger=ties"], ["merger=ties"], ["merger=last", "seed=3"]]
    found = look_ahead.check(jobs, lambda number, job: (configure(*SHORT, *job), tmp_path / job[0]))
    ((_, reason),) = found.mistakes
    assert "merger=last" in reason and "hydra.sweep.subdir" in reason


def test_what_nobody_expects_is_left_to_the_run_which_shows_it(checked, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(check, "make_trainer", broken)
    assert not checked([]).mistakes


def test_a_job_that_cannot_be_composed_does_not_hide_the_others(checked):
    found = checked(["merger=nope"], [], ["seed=-1"])
    assert [job for job, _ in found.mistakes] == [["merger=nope"], ["seed=-1"]]
    assert "merger=nope: there is no such choice" in found.mistakes[0][1] and "seed=-1" in found.mistakes[1][1]


def test_hundreds_of_jobs_read_their_data_and_their_backbone_once_and_take_milliseconds_each(
    configure, tmp_path, monkeypatch
):
    made = []
    one = settings.made

    def counted(kind, node, where, **given):
        made.append(where)
        return one(kind, node, where, **given)

    for module in (scenario, settings):
        monkeypatch.setattr(module, "made", counted)
    config = configure(*SHORT, "trainer=ewc")

    def compose(number, job):
        seed, scaling = job
        return {**config, "seed": seed, "merger": {**config["merger"], "scaling": scaling}}, tmp_path / f"{job}"

    begin = time.process_time()
    found = look_ahead.check([(seed, scaling / 20) for seed in range(10) for scaling in range(20)], compose)
    seconds = time.process_time() - begin
    assert not found.mistakes
    assert made.count("dataset") == made.count("backbone") == made.count("scenario") == 1
    assert seconds < 4  # half of which is for the first


@pytest.mark.slow
def test_a_sweep_with_wrong_jobs_lists_them_all_and_starts_none(run_py, tmp_path):
    swept = run_py("-m", *SHORT, "merger.scaling=0.2,oops", "scenario.tasks=2,11", "hydra.sweep.dir=swept")
    assert swept.returncode == 2 and "Traceback" not in swept.stderr
    assert swept.stderr.count("Error: ") == 1 and "3 of 4 jobs are wrong" in swept.stderr
    assert "merger.scaling='oops' does not fit" in swept.stderr and "digits has only 10 classes" in swept.stderr
    assert swept.stderr.count("merger.scaling=oops\n") == 2
    assert "HYDRA" not in swept.stdout  # nothing is told twice
    assert not list(tmp_path.glob("swept/*/")) and not (tmp_path / "store").exists()
    assert not list(tmp_path.glob("multirun/.unfinished*"))


@pytest.mark.slow
def test_a_sweep_goes_on_without_the_data_that_one_job_lacks(run_py, tmp_path):
    kinds = "scenario=digits_5,office31"
    swept = run_py("-m", kinds, "trainer=zero_shot", "backbone=tiny_clip", "lightning=cpu", "hydra.sweep.dir=swept")
    assert swept.returncode == 2 and "1 failed" in swept.stderr and "Traceback" not in swept.stderr
    first = swept.stderr.index("1 of 2 jobs will fail where")
    assert first < swept.stderr.index("Error: ") and "download office31" in swept.stderr
    assert (tmp_path / "swept/0/result.json").exists()
