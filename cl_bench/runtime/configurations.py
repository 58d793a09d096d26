"""Where the configurations are: those of the project, and those that the user has beside them (`--config-dir`)."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]

ROOT = _PACKAGE if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent
"""The folder that holds `conf/` and `multirun_configs/`: the package where a wheel was installed, else the checkout."""

CONF = ROOT / "conf"
"""The choices of every group, `conf/GROUP/CHOICE.yaml`."""

MULTIRUN_CONFIGS = ROOT / "multirun_configs"
"""The groups `method` and `sweep`, which no default chooses."""

_OF_THE_USER = "CL_BENCH_CONFIG_DIR"  # a variable of the environment, which the processes of a run or sweep inherit


def announce(own_folder: str | Path | None) -> None:
    """Tells Hydra where the project's configurations are, and this module where the user's are.

    Args:
        own_folder: What `--config-dir` names; None: the user has none.
    """
    os.environ["CL_BENCH_ROOT"] = str(ROOT)  # which hydra.searchpath in conf/config.yaml refers to
    if own_folder is None:
        os.environ.pop(_OF_THE_USER, None)
    else:
        os.environ[_OF_THE_USER] = os.path.abspath(own_folder)


def folders() -> list[Path]:
    """The folders that hold `GROUP/CHOICE.yaml`, in the order in which Hydra looks there."""
    own_folder = os.environ.get(_OF_THE_USER)
    return [CONF, *([Path(own_folder)] if own_folder else []), MULTIRUN_CONFIGS]


def groups() -> list[str]:
    """The groups of which a run chooses one each; Hydra's own are none of them."""
    return sorted(folder.name for folder in CONF.iterdir() if folder.is_dir() and folder.name != "hydra")


def files(group: str) -> list[Path]:
    """The choices of a group, in the order of `folders`."""
    return [file for folder in folders() for file in sorted((folder / group).glob("*.yaml"))]


def all_files() -> list[Path]:
    """The choices of all groups that a run chooses from."""
    return [file for group in groups() for file in files(group)]


def choices(group: str) -> list[str]:
    """Their names, sorted."""
    return sorted({file.stem for file in files(group)})
