"""A small language model in the shape of Llama, in plain PyTorch, to be read in one sitting.

Tokens become vectors of `width` numbers. Each of `layers` layers adds to them what attention finds in earlier
positions, then what a feed-forward network makes of them; both see the vectors normalised (RMSNorm; Zhang and
Sennrich 2019). Attention learns positions by rotating queries and keys (RoPE; Su et al. 2021), so that only
distances matter; several heads of queries may share one of keys and values (Ainslie et al. 2023). The feed-forward
network is gated (SwiGLU; Shazeer 2020). Nothing has a bias. The table that turns ids into vectors also turns the last
vectors into scores of the next id (tied embeddings).

Parameters have the names and orientation of Hugging Face's `LlamaForCausalLM`, and rotation pairs the two halves of
a head as it does there, so `model.safetensors` needs no conversion.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from corpuskit.lm.gated import silu_gated
from corpuskit.lm.norm import rms_norm
from corpuskit.lm.recipe import Shape
from corpuskit.lm.rotary import Rotation, rope, turned


class RMSNorm(nn.Module):
    """Scale vectors to a root mean square of one, then each number by a learned weight."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape.width))
        self.epsilon = shape.norm_epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis."""
        return rms_norm(x, self.weight, self.epsilon)


class Attention(nn.Module):
    """Let every position gather from itself and earlier ones, by `heads` independent weightings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = shape.heads, shape.kv_heads, shape.head_width
        self.q_proj = nn.Linear(shape.width, shape.width, bias=False)
        self.k_proj = nn.Linear(shape.width, shape.kv_heads * shape.head_width, bias=False)
        self.v_proj = nn.Linear(shape.width, shape.kv_heads * shape.head_width, bias=False)
        self.o_proj = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, past: Past | None) -> Tensor:
        """Map [batch x time, width] to the same; see `Decoder.forward` for the mask and the past."""
        time = len(rotation[0])
        # One product instead of three: small networks spend their time in calls.
        weights = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        projected = F.linear(x, weights).view(-1, time, len(weights) // self.head_width, self.head_width)
        q, k, v = turned(projected, rotation, self.heads, self.kv_heads)
        if past is not None:
            k, v = past.extend(k, v)
        gathered = F.scaled_dot_product_attention(
            q, k, v, mask, is_causal=mask is None and time > 1, enable_gqa=self.kv_heads != self.heads
        )
        mixed: Tensor = self.o_proj(gathered.transpose(1, 2).reshape(len(x), -1))
        return mixed


class SwiGLU(nn.Module):
    """Widen to `hidden`, gate, narrow again; every position for itself."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to the same."""
        narrowed: Tensor = self.down_proj(silu_gated(self.gate_proj(x), self.up_proj(x)))
        return narrowed


class Layer(nn.Module):
    """Attention, then the feed-forward network, each added to what came in."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape)
        self.mlp = SwiGLU(shape)

    def forward(self, x: Tensor, rotation: Rotation, mask: Tensor | None, past: Past | None) -> Tensor:
        """Map [batch x time, width] to the same."""
        x = x + self.self_attn(self.input_layernorm(x), rotation, mask, past)
        added: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return added


class Decoder(nn.Module):
    """The network: ids in, one vector a position out; `lm.loss` compares these with the embeddings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = RMSNorm(shape)

    def forward(self, ids: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """Map int64 ids [batch, time] to vectors [batch, time, width]; the scores are vectors @ embeddings.T.

        A position sees itself and all before it, or those alone for which `mask` (bool [batch, 1, time, time], see
        `document_mask`) is true. With a `cache`, the ids follow those that it has, and it has them too afterwards.
        """
        x = self.embed_tokens(ids).flatten(0, 1)
        time, before = ids.shape[1], cache.length if cache is not None else 0
        rotation = rope(before, before + time, self.shape, ids.device)
        if before and time > 1:
            mask = torch.ones(time, before + time, dtype=torch.bool, device=ids.device).tril(before)
        for at, layer in enumerate(self.layers):
            x = layer(x, rotation, mask, cache.layers[at] if cache is not None else None)
        normed: Tensor = self.norm(x).view(*ids.shape, -1)
        return normed

    def new_cache(self) -> Cache:
        """Give a cache that is empty."""
        return Cache(self.shape.layers)

    def draw(self, generator: torch.Generator) -> None:
        """Draw fresh weights.

        The spread 1 / sqrt(3 x width) is GPT-2's 0.02 at GPT-2's width of 768, and 0.051 at 128, where 0.02 learns
        markedly slower. What adds to the residual stream starts smaller (GPT-2), so that depth does not blow it up.
        """
        spread = 1 / math.sqrt(3 * self.shape.width)
        for name, weight in self.named_parameters():
            adds = name.endswith(("o_proj.weight", "down_proj.weight"))
            with torch.no_grad():
                if weight.ndim == 1:
                    weight.fill_(1.0)
                else:
                    each = spread / math.sqrt(2 * self.shape.layers) if adds else spread
                    weight.normal_(0.0, each, generator=generator)


class Past:
    """Keys and values [batch, kv_heads, time, head width] of one layer's earlier positions."""

    def __init__(self) -> None:
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add those of further positions; give all."""
        if self.k is not None and self.v is not None:
            k, v = torch.cat((self.k, k), 2), torch.cat((self.v, v), 2)
        self.k, self.v = k, v
        return k, v


class Cache:
    """What the layers of a network keep of earlier positions, so that the next one costs one position only."""

    def __init__(self, layers: int) -> None:
        self.layers = [Past() for _ in range(layers)]

    @property
    def length(self) -> int:
        """The number of positions that it has."""
        k = self.layers[0].k
        return 0 if k is None else k.shape[2]


def document_mask(ids: Tensor, end_id: int) -> Tensor:
    """Tell which positions of int64 ids [batch, time] each may see: bool [batch, 1, time, time].

    These are the earlier ones of its own document, to which the end mark of the document before belongs: the first
    token is predicted from it, as when documents are scored or written. Positions are not counted anew: RoPE sees
    distances only, and none leads out of a document, so the vectors are those of the document alone.
    """
    document = (ids == end_id).cumsum(1)
    same = document[:, :, None] == document[:, None, :]
    return same.tril()[:, None]
