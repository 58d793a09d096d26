"""The command line: composes and resolves the configuration and hands plain data to `cl_bench.launch`."""

import os
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on, for `main` to print
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # threads that spin for long crawl where others want the cores, too
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # batches of images lie in huge pages: made in half the time
_ROOT = Path(__file__).resolve().parent
os.environ["CL_BENCH_ROOT"] = str(_ROOT)

_failed: list[str] = []


@hydra.main(version_base="1.3", config_path=str(_ROOT / "conf"), config_name="config")
def job(config: DictConfig) -> float | None:
    """One run. In a multirun a run that the user has to mend does not keep the others from theirs."""
    from cl_bench.errors import UserError
    from cl_bench.launch import launch

    hydra_config = HydraConfig.get()
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)
    plain["choices"] = {k: v for k, v in hydra_config.runtime.choices.items() if not k.startswith("hydra/")}
    try:
        return launch(plain, Path(hydra_config.runtime.output_dir))
    except UserError as error:
        if config.debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        _failed.append(" ".join(hydra_config.overrides.task))
        return None


def main() -> None:
    """Runs, and turns every mistake of the user's into one message and exit code 2."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"Error: {str(error).partition('Config search path:')[0].strip()}", file=sys.stderr)
        sys.exit(2)
    if _failed:
        sys.exit(2)


if __name__ == "__main__":
    main()
