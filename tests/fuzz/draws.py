"""What is typed: a small run of some scenario, trainer and merger, and one to four settings of any group.

Settings and their values follow from the constructors' annotations, so that new ones are drawn, too. Left out is what
leaves the test's folder or the machine (Avalanche's and published data sets, W&B online, several nodes), what takes
long (`lightning.compile`, many devices, epochs or steps) and what shows tracebacks (`debug`).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cl_bench.runtime.instantiate import hints, located, parameters
from tests.conftest import ROOT, configuration
from tests.fuzz.values import told_apart, typed

_SMALL_DIGITS = ("++dataset.train=100", "++dataset.test=40")
_SMALL_GLYPHS = ("++dataset.train_per_class=3", "++dataset.test_per_class=2")
_SCENARIOS: Sequence[Sequence[str]] = (
    ("scenario.tasks=2", *_SMALL_DIGITS),
    ("scenario=digits_5", "scenario.tasks=3", *_SMALL_DIGITS),
    ("scenario=glyphs_10", "scenario.tasks=2", *_SMALL_GLYPHS),
    ("scenario=class_incremental", "dataset=glyph_domains", "scenario.tasks=2", *_SMALL_GLYPHS),
    ("scenario=data_incremental", "scenario.tasks=2", *_SMALL_DIGITS),
    ("scenario=data_incremental", "dataset=glyphs", "dataset.alphabet=greek", "scenario.tasks=2", *_SMALL_GLYPHS),
    ("scenario=glyphs_domains", *_SMALL_GLYPHS),
    ("scenario=domain_incremental", "task_order=4", *_SMALL_GLYPHS),
    ("scenario=mini_eight", "task_order=[textures,greek,digits]"),
    ("scenario=folder", "dataset.root=../classes", "backbone=tiny_clip", "scenario.tasks=2"),
    ("scenario=folder_domains", "dataset.root=../domains", "backbone=tiny_clip"),
)
_SHORT = ("lightning=cpu", "lightning.limit_train_batches=1", "optim.epochs=1", "evaluation=final")

_LEFT_ALONE = {
    "debug",  # shows tracebacks
    "lightning.compile",  # takes a minute
    "scenario.root",  # Avalanche downloads into it
    "merger.of",  # a node, whose settings are drawn one by one
    "backbone.projection",  # which any word may be, but one alone is
}

_TOP = {
    "seed": ([0, 7, 2**40], [-1, 1.5, "word", None, [1]]),
    "task_order": ([None, 0, 3], [-1, 1.5, [], ["nothing"], [0], "nowhere.yaml", {"a": 1}]),
    "running_statistics": (["pretrained", "average"], ["word", None, 3]),
    "paths.store_dir": (["there/elsewhere", "a b"], [None, 3, [], "/proc/nowhere"]),
    "paths.prepared_dir": (["there/prepared"], [None, 3]),
    "paths.data_dir": (["nowhere"], []),
}
"""Settings whose types no constructor has: values that are taken, and values that are refused."""

_CHOICES = (
    "optim.optimizer._target_=torch.optim.SGD", "merger.scaling=${optim.lr}", "merger.scaling=[0.2,0.5]",
    "trainer.starts_from=merged", "evaluation.split=validation", "scenario.validation_share=0.4",
    "scenario.validation_share=0.999", "lightning.precision=bf16-mixed", "logger=tensorboard", "logger=mlflow",
    "evaluation=every_task", "evaluation.when=every_task", "merger@merger.of=ties", "trainer.refinement=null",
    "trainer.tangent=false", "merger.second_moments=false", "backbone.resampling=pillow", "+method=cmm",
    "optim.optimizer.weight_decay=0", "optim.optimizer.betas=[0.9,0.95]", "optim.epochs=null", "lightning=auto",
    "optim.lr=10", "optim.warmup_ratio=0.5", "optim.batch_size=7", "trainer.strength=3", "lightning.workers=1",
    "scenario.tasks=1", "scenario.tasks=4", "lightning.checkpoint_steps=1", "merger.scaling=0",
    "merger.alpha=cumulative",
)  # fmt: skip
"""Right by themselves, though not with everything."""

_MISTAKES = (
    "merger=tiess", "mergers=ties", "trainer=nothing", "scenario=nowhere", "merger.nope=1", "+merger.nope=1",
    "+optim.optimizer.nope=1", "~merger.scaling", "~trainer", "~seed", "~paths.store_dir", "~paths", "~evaluation",
    "merger=null", "trainer=null", "trainer=[cmm,ewc]", "optim=5", "merger=", "trainer._target_=nowhere.Trainer",
    "merger._target_=pathlib.Path", "trainer._target_=builtins.dict", "dataset._target_=builtins.len",
    "scenario._target_=builtins.dict", "backbone._target_=builtins.dict", "merger._target_=3", "optim._target_=a.b",
    "optim.optimizer._target_=torch.nn.Linear", "optim.optimizer=null", "optim.optimizer=word",
    "merger.scaling=${nope}",
    "seed=${task_order}", "seed=${seed}", "merger.scaling=[]", "merger.scaling=[0.5,much]", "lightning=ddp",
    "lightning=gpu", "lightning.devices=99", "lightning.nodes=0", "a b", "=3", "seed=", "trainer={}", "paths=null",
    "optim.optimizer.betas=[2,3]", "optim.optimizer.weight_decay=-1", "optim.optimizer.fused=word",
    "optim.optimizer.eps=-1", "scenario={}", "scenario.dataset=3", "scenario.dataset=null", "dataset={}",
    "evaluation=3",
    "lightning=null", "logger=null", "logger._target_=builtins.dict", "merger.scaling=?", "optim.lr=[1", "task_order={",
    "hydra.run.dir=/proc/nowhere", "paths.store_dir=../classes/one/0.png", "++merger.of=ties", "merger@nope=ties",
)  # fmt: skip
"""What is no value of a setting: choices, groups, targets and names that do not exist, and text that is no setting."""


@dataclass
class Draw:
    """One command.

    Attributes:
        number: Which makes it again.
        overrides: What is typed after `run.py`.
        refused: Settings among them whose value does not fit.
        kept: Settings, by their path, with a value that the record must have.
    """

    number: int
    overrides: list[str]
    refused: list[str] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def jobs(self) -> int:
        """How many runs it asks for."""
        return 2 if "-m" in self.overrides else 1


def draw(number: int) -> Draw:
    """The command of that number."""
    chance = random.Random(number)
    base = [*chance.choice(_SCENARIOS), *_SHORT, *_methods(chance)]
    config = configuration(Path(), *base)
    made = Draw(number, base)
    mistaken = chance.random() < 0.4
    for _ in range(chance.choice((1, 1, 2, 3, 4))):
        if chance.random() < 0.25:
            made.overrides.append(chance.choice(_MISTAKES if mistaken else _CHOICES))
            made.kept.clear()  # it may change anything
        else:
            _add_setting(made, config, mistaken, chance)
    if chance.random() < 0.15:
        made.overrides = ["-m", *made.overrides, "+swept=1,2"]
    return made


def _methods(chance: random.Random) -> Iterator[str]:
    def choices(group: str) -> list[str]:
        return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))

    yield f"trainer={chance.choice(choices('trainer'))}"
    if chance.random() < 0.7:
        merger = chance.choice(choices("merger"))
        yield f"merger={merger}"
        if merger in ("task_arithmetic", "consensus"):
            yield "merger.scaling=0.3"
        if merger == "by_name":
            yield "merger.rules=[{match: *attn*, scaling: 0.5}]"
        if merger == "lines":
            yield "merger.beta=0.5"
        if merger in ("dop", "wudi", "adamerging"):
            yield "merger.steps=2"


def _add_setting(made: Draw, config: Mapping[str, Any], mistaken: bool, chance: random.Random) -> None:
    where, (taken, refused) = chance.choice([*_TOP.items(), *_settings(config)])
    wrong = bool(refused) and (not taken or (mistaken and chance.random() < 0.6))
    value = chance.choice(refused if wrong else taken)
    made.overrides.append(f"{'' if _has(config, where) else '++'}{where}={typed(value)}")
    made.kept.pop(where, None)
    if where in made.refused:
        made.refused.remove(where)
    if wrong:
        made.refused.append(where)
    elif not where.startswith("paths."):
        made.kept[where] = value


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, tuple[list[Any], list[Any]]]]:
    """Of every constructor in the configuration: each parameter that may be set, with values for it."""
    for where, node in _nodes(config, ""):
        target, program = located(node, where), _GIVEN.get(where, ())
        annotations = hints(target)
        for name, parameter in parameters(target).items():
            setting = f"{where}.{name}"
            if (
                name in program
                or setting in _LEFT_ALONE
                or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
            ):
                continue
            if isinstance(node.get(name), Mapping):
                continue
            yield setting, told_apart(name, annotations.get(name, Any))


_GIVEN = {
    "trainer": ("given",),
    "scenario": ("dataset", "datasets", "class_order", "domain_order", "dataset_order"),
    "optim": ("optimizer",),
    "optim.optimizer": ("params", "lr", "foreach", "maximize", "capturable", "differentiable", "amsgrad"),
    "dataset": ("root",),
    "logger": ("save_dir", "database", "mode", "root_dir", "sub_dir", "log_graph", "kwargs", "experiment"),
}
"""Arguments that the program gives, or another setting does."""


def _nodes(node: Mapping[str, Any], where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in node.items():
        path = f"{where}.{name}" if where else str(name)
        if isinstance(value, Mapping) and not (where == "scenario" and name in ("dataset", "datasets")):
            if "_target_" in value:
                yield path, value
            yield from _nodes(value, path)


def _has(config: Mapping[str, Any], where: str) -> bool:
    node: Any = config
    for name in where.split("."):
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return True
