"""Whether what a trainer learns is CLIP's image tower, which other libraries can load."""

from cl_bench.backbones.linearized import Linearized
from cl_bench.runtime.setting_names import choice
from cl_bench.trainers import TaskTrainer


def no_image_tower(trainer: TaskTrainer) -> str | None:
    """Says why the weights of a trainer's tasks are no image tower; None if they are."""
    name = choice("trainer", type(trainer))
    if isinstance(trainer.encoder, Linearized):
        return f"{name} evaluates the encoder's linearization around θ₀, which no other library loads"
    if trainer.weights().keys() != trainer.encoder.state_dict().keys():
        return f"{name} learns something else than the weights of the image encoder, which stay as they are"
    return None
