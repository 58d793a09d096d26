"""The command `cl-bench merge`, which is also `python -m cl_bench.merge`: checkpoint files become one."""

import sys
from collections.abc import Sequence
from typing import Any

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching import command_line, composition, messages
from cl_bench.runtime import process
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.errors import UserError, is_hydras


def main(arguments: Sequence[str]) -> int:
    """Merges, and turns every mistake of the user's into one message.

    Args:
        arguments: What was typed after the command. Hydra reads them from `sys.argv`, where they are, too.

    Returns:
        The exit code: 2 where the user has something to mend.
    """
    try:
        sys.argv[1:] = command_line.completed(arguments)
        command_line.check(sys.argv[1:])
        composition.install(command_line.config_dir(sys.argv[1:]))
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="merge")(job)()
    except Exception as error:
        if not isinstance(error, (HydraException, OmegaConfBaseException)) and not is_hydras(error):
            raise
        print(f"Error: {messages.message(error)}", file=sys.stderr)
        return 2
    return 0


def job(config: DictConfig) -> None:
    """Does one merge, from the composed configuration."""
    from cl_bench.merge.merge_files import merge_files

    plain: Any = OmegaConf.to_container(config, resolve=True)
    try:
        merge_files(plain)
    except UserError as error:
        if config.debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    with process.command():
        sys.exit(main(sys.argv[1:]))
