"""What is known of the experts that are published on the Hugging Face hub."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

_FILE = Path(__file__).with_name("published.yaml")


class Published(BaseModel):
    """The content of `published.yaml`, which says what its entries mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: str
    patterns: dict[str, Annotated[str, Field(pattern="%s")]]
    names: dict[str, str]
    classes: dict[str, int]
    test_images: dict[str, Literal["apart", "mixed"]]

    def name(self, dataset: str) -> str:
        """What the publisher calls a data set."""
        return self.names.get(dataset, dataset)


@cache
def published() -> Published:
    """Reads the file."""
    return Published.model_validate(yaml.safe_load(_FILE.read_text(encoding="utf-8")))
