"""The resolved configuration of a run as plain data, which is all that the rooms below get of it."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from cl_bench.launching import retention


def resolved(config: DictConfig) -> dict[str, Any]:
    """Resolves a configuration and adds under `choices` what was chosen of each group.

    Args:
        config: As Hydra composed it, without Hydra's own part, which is taken from `HydraConfig`.

    Raises:
        HydraException: Two settings contradict each other.
        UserError: A name was added that is nearly a setting's, and nothing would read it; or `evaluation.retention`
            names what is no data set.
    """
    from cl_bench.launching.command_line import check_names
    from cl_bench.store.plain import text_keys

    _check_warmup(config)
    plain: dict[str, Any] = text_keys(OmegaConf.to_container(config, resolve=True))
    choices = HydraConfig.get().runtime.choices
    plain["choices"] = {group: choice for group, choice in choices.items() if "/" not in group}
    check_names(plain)
    if nodes := retention.settings(config):
        plain["retention"] = nodes
    return plain


def is_searched() -> bool:
    """Whether Optuna looks for the best settings by what the job returns."""
    return bool(HydraConfig.get().runtime.choices["hydra/sweeper"] == "optuna")


def check_objective(config: DictConfig) -> None:
    """Refuses to let Optuna choose settings on test images, before anything is trained.

    Raises:
        HydraException: It would.
    """
    if is_searched() and config.evaluation.split != "validation":
        raise HydraException(
            "hydra/sweeper=optuna would choose settings on test images; "
            "add evaluation.split=validation scenario.validation_share=0.2."
        )


def _check_warmup(config: DictConfig) -> None:
    """Refuses a warm-up in steps that was asked for, but would be overruled by a ratio that the backbone brings."""
    if "optim.warmup_steps" not in {override.partition("=")[0] for override in HydraConfig.get().overrides.task}:
        return
    if (ratio := OmegaConf.select(config, "optim.warmup_ratio")) is not None:
        raise HydraException(
            f"optim.warmup_steps={config.optim.warmup_steps} does not count beside optim.warmup_ratio={ratio}; "
            "add optim.warmup_ratio=null."
        )
