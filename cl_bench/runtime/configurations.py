"""Where the configurations are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `conf/` and `multirun_configs/`."""

CONF = ROOT / "conf"
"""The choices of every group, `conf/GROUP/CHOICE.yaml`."""
