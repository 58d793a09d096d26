"""Whose learning rate counts: the command line's, the trainer's, the scenario's for its backbone, the backbone's."""

import pytest

from tests.conftest import SHORT


@pytest.mark.parametrize(
    ("overrides", "lr", "warmup"),
    [
        ([], 4e-4, 0.1),
        (["scenario=folder", "backbone=tiny_clip"], 4e-4, 0.1),
        (["scenario=cifar100_20", "backbone=tiny_clip"], 4e-4, 0.1),
        (["scenario=office31", "trainer=cmm", "backbone=tiny_clip"], 4e-4, 0.1),
        (["scenario=digits_5", "backbone=vit_b_16"], 1e-5, None),
        (["backbone=vit_l_14", "scenario=mini_eight"], 1e-5, None),
        (["scenario=folder"], 1e-5, 0.1),
        (["scenario=glyphs_domains"], 6e-4, 0.1),
        (["scenario=glyphs_domains", "backbone=vit_b_32"], 1e-5, None),
        (["scenario=glyphs_domains", "trainer=lora"], 4e-3, 0.1),
        (["trainer=lora"], 4e-3, 0.1),
        (["trainer=head_only"], 0.4, 0.1),
        (["trainer=lora", "backbone=vit_b_16"], 1e-5, None),
        (["trainer=lora", "optim.lr=3"], 3, 0.1),
        (["optim.lr=3", "backbone=vit_b_16", "optim.warmup_ratio=0.5"], 3, 0.5),
    ],
)
def test_whose_rate_and_warmup_count(configure, overrides, lr, warmup):
    optim = configure(*overrides)["optim"]
    assert (optim["lr"], optim["warmup_ratio"], optim["warmup_steps"]) == (lr, warmup, 500)


@pytest.mark.slow
def test_the_outcome_can_be_looked_at_before_a_run(run_py):
    shown = run_py("scenario=folder", "backbone=tiny_clip", "--cfg", "job")
    assert shown.returncode == 0 and "lr: 0.0004" in shown.stdout and "warmup_ratio: 0.1" in shown.stdout


@pytest.mark.slow
def test_a_warmup_in_steps_does_not_lose_to_a_ratio_in_silence(run_py):
    refused = run_py("optim.warmup_steps=7", *SHORT)
    assert refused.returncode == 2
    assert "optim.warmup_steps=7 does not count beside optim.warmup_ratio=0.1; add optim.warmup_ratio=null." in (
        refused.stderr
    )
