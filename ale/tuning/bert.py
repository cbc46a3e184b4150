"""A BERT encoder in plain torch, cut in two: a lower part that stays as it is, an upper part that learns.

What the lower part makes of a text is computed once and serves every tuning. Learning the upper half of
MiniLM was as good as learning all of it, and costs less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-12
_LINEAR = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "seen": "attention.output.dense",
    "first_norm": "attention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "second_norm": "output.LayerNorm",
}
"""Our names of a layer's parts, and those of the file."""

Arrays = Mapping[str, NDArray[Any]]


class Layer(nn.Module):
    """Attention, then two linear maps, each added to its input and normalised."""

    def __init__(self, width: int, wide: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value, self.seen = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, wide), nn.Linear(wide, width)
        self.first_norm, self.second_norm = (nn.LayerNorm(width, eps=_EPSILON) for _ in range(2))
        self._heads, self._dropout = heads, dropout

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Shape as `x`, (texts, tokens, width); `mask` is (texts, tokens), true where there is a token."""
        drop = self._dropout if self.training else 0.0
        query, key, value = (self._apart(part(x)) for part in (self.query, self.key, self.value))
        seen = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :], dropout_p=drop
        )
        seen = self.seen(seen.transpose(1, 2).reshape(x.shape))
        x = self.first_norm(x + functional.dropout(seen, drop, self.training))
        narrow = self.narrow(functional.gelu(self.wide(x)))
        found: Tensor = self.second_norm(x + functional.dropout(narrow, drop, self.training))
        return found

    def _apart(self, x: Tensor) -> Tensor:
        texts, tokens, width = x.shape
        return x.view(texts, tokens, self._heads, width // self._heads).transpose(1, 2)


class Lower(nn.Module):
    """Embeddings and the first layers. Never trained."""

    def __init__(self, weights: Arrays, layers: int, heads: int) -> None:
        super().__init__()
        self.words, self.places, kinds = (
            nn.Parameter(_tensor(weights[f"embeddings.{name}_embeddings.weight"]), requires_grad=False)
            for name in ("word", "position", "token_type")
        )
        self.kind = nn.Parameter(kinds[0], requires_grad=False)
        self.norm = nn.LayerNorm(self.words.shape[1], eps=_EPSILON)
        _fill(self.norm, weights, "embeddings.LayerNorm")
        self.layers = _layers(weights, range(layers), heads, 0.0)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What the last layer gives, shape (texts, tokens, width)."""
        *_, last = self.by_layer(ids, mask)
        return last

    def by_layer(self, ids: Tensor, mask: Tensor) -> Iterator[Tensor]:
        """The embeddings, then what each layer gives; all of shape (texts, tokens, width)."""
        x: Tensor = self.norm(self.words[ids] + self.places[: ids.shape[1]] + self.kind)
        yield x
        for layer in self.layers:
            x = layer(x, mask)
            yield x


class Upper(nn.Module):
    """The last layers and a head over the mean of a text's tokens."""

    def __init__(self, weights: Arrays, layers: range, heads: int, labels: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.layers = _layers(weights, layers, heads, dropout)
        width = weights["embeddings.LayerNorm.weight"].shape[0]
        self.head = nn.Linear(width, labels)
        # From zero the head says nothing at first, and no draw of chance is in what it learns.
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Unit sentence vectors (texts, width) and logits (texts, labels), both float32."""
        for layer in self.layers:
            x = layer(x, mask)
        vectors = functional.normalize(mean_of(x, mask), dim=1)
        # Unit vectors give logits of a size that a head learns within some dozen steps when they are longer.
        return vectors, functional.linear(_LENGTH * vectors, self.head.weight, self.head.bias)

    def load_head(self, weights: Arrays) -> None:
        """Take the head of `arrays`; the layers come with the constructor."""
        with torch.no_grad():
            self.head.weight.copy_(_tensor(weights["head.weight"]) / _LENGTH)
            self.head.bias.copy_(_tensor(weights["head.bias"]))

    def arrays(self, first: int) -> dict[str, NDArray[np.float32]]:
        """Its weights under the file's names; `first` is the number of its first layer. And `head.*`."""
        found = {"head.weight": _LENGTH * self.head.weight, "head.bias": self.head.bias}
        for number, layer in enumerate(self.layers, first):
            for ours, theirs in _LINEAR.items():
                part = getattr(layer, ours)
                found[f"encoder.layer.{number}.{theirs}.weight"] = part.weight
                found[f"encoder.layer.{number}.{theirs}.bias"] = part.bias
        return {name: value.detach().cpu().numpy().astype(np.float32) for name, value in found.items()}


_LENGTH = 5.0


def mean_of(x: Tensor, mask: Tensor) -> Tensor:
    """The mean over each text's own tokens, (texts, width), float32."""
    real = mask.unsqueeze(-1).float()
    mean: Tensor = (x.float() * real).sum(1) / real.sum(1).clamp(min=1.0)
    return mean


def padded(tokens: Sequence[Sequence[int]], device: str) -> tuple[Tensor, Tensor]:
    """Numbers (texts, tokens), zeros at the end of the shorter ones, and where there is a token."""
    ids = torch.zeros(len(tokens), max(map(len, tokens)), dtype=torch.long)
    mask = torch.zeros(ids.shape, dtype=torch.bool)
    for row, text in enumerate(tokens):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = True
    return ids.to(device), mask.to(device)


def stacked(texts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The same for hidden states, each (tokens, width)."""
    x = nn.utils.rnn.pad_sequence(list(texts), batch_first=True)
    mask = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
    for row, text in enumerate(texts):
        mask[row, : len(text)] = True
    return x, mask


def _layers(weights: Arrays, numbers: range, heads: int, dropout: float) -> nn.ModuleList:
    wide, width = weights["encoder.layer.0.intermediate.dense.weight"].shape
    layers = nn.ModuleList()
    for number in numbers:
        layer = Layer(width, wide, heads, dropout)
        for ours, theirs in _LINEAR.items():
            _fill(getattr(layer, ours), weights, f"encoder.layer.{number}.{theirs}")
        layers.append(layer)
    return layers


def _fill(part: Any, weights: Arrays, name: str) -> None:
    with torch.no_grad():
        part.weight.copy_(_tensor(weights[f"{name}.weight"]))
        part.bias.copy_(_tensor(weights[f"{name}.bias"]))


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.tensor(np.asarray(array, np.float32))
