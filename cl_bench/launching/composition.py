"""How configurations are composed: as Hydra does it, with some mistakes refused that Hydra passes over in silence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra._internal.hydra as hydra_internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from cl_bench.experiment import released
from cl_bench.launching import slurm, sweep_folders
from cl_bench.launching.class_settings import File, separate
from cl_bench.launching.command_line import ADDED, with_plus
from cl_bench.runtime import commands, configurations


def install(config_dir: Path | None = None) -> None:
    """From now on, Hydra composes in this way, and knows the resolvers of `conf/`.

    Args:
        config_dir: The folder of the user's own configurations.
    """
    configurations.announce(config_dir)
    released.register()
    sweep_folders.register()
    OmegaConf.register_new_resolver("gpus_per_node", slurm.gpus_per_node, replace=True)
    OmegaConf.register_new_resolver("command", commands.typed, replace=True)
    OmegaConf.register_new_resolver("choices", lambda group: ", ".join(configurations.choices(group)), replace=True)
    OmegaConf.register_new_resolver("groups", _groups, replace=True)
    hydra_internals.ConfigLoaderImpl = Loader  # type: ignore[attr-defined]


def _groups() -> str:
    """For `--help`: all groups with their choices, those of the user among them."""
    groups = (*configurations.groups(), *ADDED)
    return "\n".join(f"{with_plus(group)}: {', '.join(configurations.choices(group))}" for group in groups)


@contextmanager
def installed(config_dir: Path | None = None) -> Iterator[None]:
    """Within, Hydra composes in this way; afterwards it composes as before."""
    before = hydra_internals.ConfigLoaderImpl  # type: ignore[attr-defined]
    install(config_dir)
    try:
        yield
    finally:
        hydra_internals.ConfigLoaderImpl = before  # type: ignore[attr-defined]


class Loader(ConfigLoaderImpl):
    """Hydra's loader; it goes along to the processes of other launchers."""

    _files: Sequence[File] = ()

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Composes the configuration.

        Raises:
            ConfigCompositionException: As Hydra's; or a file of the user's would never be read, since the project has
                one of its name; or a class needs a setting that was only written for another one.
        """
        parsed = OverridesParser.create().parse_overrides(overrides)
        _check_one_choice(parsed)
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        files, self._files = self._files, ()
        separate(config, files, parsed)
        return config

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: Any) -> DictConfig:
        chosen = [
            default for default in defaults if default.config_path and not default.config_path.startswith("hydra/")
        ]
        for default in chosen:
            _check_not_hidden(str(default.config_path), repo)
        self._files = [self._file(default, repo) for default in chosen]
        return super()._compose_config_from_defaults_list(defaults, repo)

    def _file(self, default: ResultDefault, repo: Any) -> File:
        loaded = self._load_single_config(default, repo)
        content: Any = OmegaConf.to_container(loaded.config, resolve=False)
        chosen: list[Any] = [entry for entry in loaded.defaults_list or () if hasattr(entry, "value")]
        others = {str(entry.group).strip("/"): str(entry.value) for entry in chosen}
        return File(str(default.config_path), default.override_key or "", content, others)


def _check_one_choice(overrides: Sequence[Override]) -> None:
    groups = configurations.groups()
    for override in overrides:
        choices = override.value()
        if override.key_or_group in groups and isinstance(choices, list):
            values = ",".join(map(str, choices))
            raise ConfigCompositionException(
                f"{override.input_line}: a run has one {override.key_or_group}; a run for each is "
                f"-m {override.key_or_group}={values}"
            )


def _check_not_hidden(path: str, repo: Any) -> None:
    """Refuses a file of the user's (`--config-dir`) that the project's of the same name would hide.

    Args:
        path: Of the file that was chosen, such as `merger/ties`.
        repo: Hydra's, with the folders in the order in which it looks there.
    """
    found = [source for source in repo.get_sources() if source.provider != "schema" and source.is_config(path)]
    if not found or found[0].provider != "main":
        return
    folder = Path(found[0].path).resolve()
    for source in found[1:]:
        if Path(source.path).resolve() != folder:
            group, _, name = path.rpartition("/")
            group, plus = (group, "") if group else ("experiment", "+")
            raise ConfigCompositionException(
                f"{source.path}/{path}.yaml would not be read, since the project has a file of that name. Give yours "
                f"another one: {group}/my_{name}.yaml, and {plus}{group}=my_{name}."
            )
