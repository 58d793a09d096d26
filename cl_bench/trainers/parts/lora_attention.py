"""Low-rank updates of attentions; imports `peft`."""

from typing import Any

from peft.tuners.lora.layer import MultiheadAttention
from torch import Tensor
from torch.func import functional_call


class Attention(MultiheadAttention):
    """Adapts `nn.MultiheadAttention`: the matrix of queries, keys and values, and the projection of its output.

    peft's own forward pass changes the frozen weights and changes them back, which rounds them a little more at every
    step. Up to version 0.21.2 at least, it also counts the projection's update twice (its pull request 3774). So this
    one calls the attention with the sums W + (alpha / rank) · B · A, and leaves the weights alone.
    """

    def forward(self, query: Tensor, *arguments: Any, **options: Any) -> Any:
        """Calls the attention with the updated weights."""
        (adapter,) = self.active_adapters
        attention: Any = self.base_layer
        projection = attention.out_proj
        weights = {
            "in_proj_weight": attention.in_proj_weight + self.get_delta_weight(adapter),
            "out_proj.base_layer.weight": projection.weight + projection.get_delta_weight(adapter),
        }
        return functional_call(attention, weights, (query, *arguments), options, tie_weights=False)
