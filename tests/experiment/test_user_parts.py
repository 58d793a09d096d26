"""What is wrong with strangers' classes is one message that names the class and what is wrong, before training."""

import re

import pytest
import torch

from cl_bench.experiment import rehearsal
from cl_bench.experiment.parts import build
from cl_bench.mergers import MagMax, Rescale
from cl_bench.runtime.errors import UserError
from cl_bench.trainers.base.head_rows import HeadRows
from tests.conftest import FEW_STEPS, SHORT
from tests.helpers import strangers

HERE = "tests.helpers.strangers"


@pytest.mark.parametrize(
    ("group", "name", "message"),
    [
        ("merger", "NoMerger", "is no Merger: derive the class from cl_bench.mergers.Merger, class NoMerger(Merger)."),
        ("merger", "WithoutSuper", "has no scaling: its constructor has to call that of Merger, super().__init__(…)."),
        ("merger", "WithoutFold", "lacks fold: every cl_bench.mergers.Merger has its own."),
        ("merger", "OddCombine", "combine(self, state) does not fit: it has to take (self, state, block)."),
        ("merger", "Medain", "has no Medain; it has: Median."),
        ("merger", "good_data", "has to make a cl_bench.mergers.Merger"),
        ("trainer", "NoTrainer", "is no TaskTrainer: derive the class from cl_bench.trainers.TaskTrainer"),
        ("trainer", "TakesNothing", "its constructor takes (share), but a run hands over one object, given."),
        (
            "trainer",
            "TakesPartsOneByOne",
            "def __init__(self, given: Given, …): super().__init__(given, …), with cl_b",
        ),
        ("trainer", "TrainerWithoutSuper", "call super().__init__(…) first"),
        ("trainer", "OddBegin", "it has to take (self, weights, experience, steps, resumed)."),
        ("trainer", "FailsWhenMade", r"fails: ZeroDivisionError: division by zero (tests/helpers/strangers.py, line "),
        ("scenario", "Median", "is no Scenario: derive the class from cl_bench.scenarios.Scenario"),
        ("scenario", "ScenarioWithoutSuper", "has no "),
        ("scenario", "UnequalStreams", "3 in train_stream, 2 in test_stream"),
        ("scenario", "NarrowMasks", "test_stream, task 1: class_masks have shape (1, 4), not (groups, 10)"),
        ("backbone", "Median", "is no Backbone: derive the class from cl_bench.backbones.Backbone"),
        ("backbone", "WrongWidth", "a tensor of shape (2, 12), not features of shape (2, 96)"),
        ("backbone", "BrokenEncoder", "cannot encode images of 32 x 32 pixels: RuntimeError"),
        (
            "dataset",
            "a_list",
            "does not fit: dataset._target_=tests.helpers.strangers.a_list has to make a",
        ),
        (
            "dataset",
            "list_of_labels",
            "fails: ValueError: labels must be int64 of shape (2,), not list (tests/helpers/strang",
        ),
        (
            "dataset",
            "list_of_images",
            "pixels must be uint8 of shape (N, H, W, 3), or images with an identity, not li",
        ),
        ("dataset", "missing_file", "nowhere.npy"),
        ("optim", "Median", "is no Optimization"),
        (
            "optim.optimizer",
            "NoOptimizer",
            "tests.helpers.strangers.NoOptimizer is no optimizer of torch",
        ),
        ("optim.optimizer", "WithoutRate", "got an unexpected keyword argument 'lr'"),
        ("evaluation", "Median", "is no Settings"),
        ("logger", "Median", "is no Logger"),
    ],
)
def test_a_class_that_cannot_take_its_place_is_named(configure, group, name, message):
    with pytest.raises(UserError) as caught:
        build(configure(*FEW_STEPS, f"{group}._target_={HERE}.{name}"))
    assert message in str(caught.value)
    assert name in str(caught.value) and group in str(caught.value)


def test_settings_of_an_optimizer_that_contradict_each_other_are_found_before_training(configure):
    optimizer = ("optim.optimizer._target_=torch.optim.SGD", "+optim.optimizer.nesterov=true")
    with pytest.raises(
        UserError,
        match=r"^optim\.optimizer: torch\.optim\.sgd\.SGD does not take .*: ValueError: Nesterov momentum requires",
    ):
        build(configure(*SHORT, *optimizer))


def test_what_is_right_is_taken(configure):
    own = {"merger": "CountsTasks", "trainer": "Plain", "scenario": "Tasks", "dataset": "good_data"}
    parts = build(configure(*FEW_STEPS, *(f"{group}._target_={HERE}.{name}" for group, name in own.items())))
    assert parts.merger.seen == 0 and parts.scalings == (0.9,) and len(parts.experiences) == 2
    assert sum(len(task.samples) for task in parts.scenario.test_stream) == 90


def test_fisher_information_that_an_encoder_does_not_allow_is_refused_before_training(configure):
    own = (*SHORT, f"backbone._target_={HERE}.PixelByPixel")
    build(configure(*own))
    with pytest.raises(UserError, match=r"Fisher information, and torch cannot compute it in VisionTransformer: Runti"):
        build(configure(*own, "merger=fisher"))


MODEL = {
    "matrix": torch.linspace(-1, 1, 24).view(4, 6),
    "bias": torch.linspace(-1, 1, 5),
    "half": torch.ones(3, 3, dtype=torch.bfloat16),
    "counter": torch.tensor(3),
    "norm.running_var": torch.ones(5),
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ReturnsNone", r"'matrix' of shape (4, 6): ValueError: ReturnsNone.combine returns NoneType, not a tensor of"),
        ("ReturnsNaN", "'matrix' of shape (4, 6): ValueError: "),
        (
            "ReturnsOneNumber",
            "'matrix' of shape (4, 6): ValueError: ReturnsOneNumber.combine_stack returns float32",
        ),
        ("ReturnsAllTasks", "returns float32 of shape (2, 4, 6), not real numbers of (4, 6)"),
        ("FailsOnMatrices", "'matrix' of shape (4, 6): ZeroDivisionError: "),
        ("DividesByZero", "ZeroDivisionError: integer division or modulo by zero (tests/helpers/strangers.py, line "),
        ("ChangesPretrained", "it changes the weights that it is given, 'matrix' for one"),
    ],
)
def test_a_merger_is_tried_and_the_parameter_is_named(name, message):
    make, model = getattr(strangers, name), {key: tensor.clone() for key, tensor in MODEL.items()}
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        rehearsal.merger(make, model, 0, "pretrained")
    assert str(caught.value).startswith(f"merger={HERE}.{name} cannot merge")
    with pytest.raises(UserError, match=f"^merger={HERE}.{name} cannot merge"):  # also within another
        rehearsal.merger(lambda: Rescale(of=make()), {**model, "matrix": MODEL["matrix"].clone()}, 0, "pretrained")


def test_a_merger_that_merges_nothing_is_told(caplog):
    rehearsal.merger(strangers.FoldsIntoNothing, MODEL, 0, "pretrained")
    assert "merges random task vectors to the pre-trained weights themselves; fold changes the state" in caplog.text
    caplog.clear()
    state = torch.get_rng_state()
    for right in (strangers.Folding, strangers.Median, strangers.CountsTasks, MagMax):
        rehearsal.merger(right, MODEL, 0, "pretrained")
    assert not caplog.text and torch.equal(state, torch.get_rng_state())


class Step:
    """All that is looked at in a trainer."""

    memory, keep, head_rows = frozenset(), frozenset({"grams"}), HeadRows(None)

    def __init__(self, answer):
        self.training_step = self.end_task = self.penalty = lambda *arguments: answer


ONE = torch.tensor(1.0, requires_grad=True)


@pytest.mark.parametrize("right", [ONE, {"loss": ONE}, ONE.view(1)])
def test_a_loss_is_taken(right):
    trainer = Step(right)
    rehearsal.trainer(trainer)
    assert trainer.training_step(None, 0) is right


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "NoneType"),
        (1.0, "float"),
        (ONE.expand(3), "a tensor of shape (3,)"),
        (ONE.detach(), "a tensor of shape (), without a gradient"),
        ({"los": ONE}, "NoneType"),
    ],
)
def test_what_is_no_loss_is_refused(answer, told):
    trainer = Step(answer)
    rehearsal.trainer(trainer)
    message = f"trainer=tests.experiment.test_user_parts.Step: training_step returns {told}; it has to return the loss"
    with pytest.raises(UserError, match=re.escape(message)):
        trainer.training_step(None, 0)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (dict(MODEL), "returns dict; it has to return the weights and the statistics, by name"),
        (({"matrix": MODEL["matrix"]}, {}), "what it returns lacks 'bias', 'counter', 'half' and 1 more"),
        (({**MODEL, "bias": torch.ones(4)}, {}), "'bias' has shape (4,), but (5,) in pretrained"),
        (({**MODEL, "bias": torch.full((5,), torch.nan)}, {}), "'bias' has a NaN or infinite value"),
        ((MODEL, {}), "returns no grams among the statistics; return what memory names from for_later_tasks"),
    ],
)
def test_what_a_task_leaves_behind_is_looked_at(answer, told):
    with pytest.raises(UserError, match=f"^trainer=tests.experiment.test_user_parts.Step: end_task.*{re.escape(told)}"):
        rehearsal.left_behind(Step(answer), MODEL)
    whole = (MODEL, {"grams": {}})
    assert rehearsal.left_behind(Step(whole), MODEL) is whole


@pytest.mark.parametrize(("answer", "told"), [(None, "NoneType"), ("1", "str"), (ONE.expand(3), "a tensor of shape")])
def test_what_is_no_penalty_is_refused_with_its_line(answer, told):
    trainer = Step(answer)
    rehearsal.trainer(trainer)
    with pytest.raises(UserError, match=rf"Step: penalty returns {told}.*test_user_parts\.py, line \d+, in "):
        trainer.penalty()
    for right in (0.5, ONE):
        trainer = Step(right)
        rehearsal.trainer(trainer)
        assert trainer.penalty() is right


def test_an_error_of_the_projects_own_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), rehearsal.explained(MagMax()):
        1 / 0  # noqa: B018
    message = r"Step fails: ZeroDivisionError: .*test_user_parts\.py, line"
    with pytest.raises(UserError, match=message), rehearsal.explained(Step(None)):
        1 / 0  # noqa: B018
