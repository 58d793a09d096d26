"""What lies beside an exported model and says what it is: a card for people, and facts for programs."""

from importlib.metadata import version
from typing import Any

from cl_bench.analyses.opened_run import OpenedRun
from cl_bench.export.models import ExportedModel
from cl_bench.store.later_settings import ZERO_SHOT

FACTS = "cl_bench.json"
"""The name of the file of facts; `trainer=imported` looks for it, and so does `--overwrite`."""


def facts(run: OpenedRun, model: ExportedModel) -> dict[str, Any]:
    """The content of `cl_bench.json`.

    `our_split`: the weights were trained on this project's training images alone, so that its test images are new.
    """
    record = run.record
    return {
        "cl_bench": version("cl_bench"),
        "our_split": all(expert.ours for expert in run.parts.experts),
        "backbone": run.parts.backbone.name,
        "head": record["config"].get("head", ZERO_SHOT),
        "scenario": record["scenario"]["name"],
        "task": model.task,
        "datasets": [data["name"] for data in record["datasets"]],
        "trainer": record["config"]["trainer"],
        "optim": record["config"]["optim"],
        "merger": record["config"]["merger"] if model.task is None else None,
        "scaling": record["scaling"] if model.task is None else None,
        "seed": record["seed"],
        "fingerprint": record["fingerprint"],
    }


def _head(run: OpenedRun) -> str:
    """Where the rows come from that features were compared with."""
    if run.parts.head.arrival is None:
        return "The\ntext encoder is that of the pre-trained model."
    return (
        "The\nrows that its features were compared with were made of training images, and are not in this folder: with "
        "rows\nmade of words, accuracies are others."
    )


def card(run: OpenedRun, model: ExportedModel) -> str:
    """The content of `README.md`, a model card of the hub."""
    record, name = run.record, run.parts.backbone.name
    choices = record.get("choices") or {}
    what = "the merged model" if model.task is None else f"the weights after the task {model.task!r}"
    rows = {
        "data sets": ", ".join(data["name"] for data in record["datasets"]),
        "tasks": len(record["tasks"]),
        "trainer": choices.get("trainer") or record["config"]["trainer"]["_target_"],
        "head": choices.get("head", "zero_shot"),
        "seed": record["seed"],
        "stream": record["fingerprint"],
    }
    if model.task is None:
        rows |= {"merger": choices.get("merger") or record["config"]["merger"]["_target_"], "λ": record["scaling"]}
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    return f"""---
library_name: transformers
license: unknown
pipeline_tag: image-feature-extraction
---

# {record["scenario"]["name"]}: {model.folder}

The image encoder of CLIP {name}: {what}, written by `cl-bench export` of cl_bench {version("cl_bench")}. {_head(run)}

| | |
| --- | --- |
{table}

All settings are in `{FACTS}`. The licence is not known: it depends on the pre-trained weights and on the data.

```python
from transformers import CLIPVisionModelWithProjection

model = CLIPVisionModelWithProjection.from_pretrained("path/to/this/folder")
```
"""
