"""N generators of one kind, one a picture, whose weights are the rows of one matrix.

One matrix makes the optimiser a handful of operations whatever the number of layers, lets low precision cost one cast
an iteration, and lets any number of pictures share every operation.
"""

import torch
from torch import Tensor

from deep_protection.generators import ImageGenerator
from deep_protection.generators.layers import Conv


class Networks:
    """``count`` networks; row n draws picture n, whatever the others do."""

    matrix: Tensor
    """``N×P`` float32: all weights of a network in one row."""
    places: list[tuple[str, str]]
    """Layer and name of the weights, in the order in which they lie in a row."""

    def __init__(self, generator: ImageGenerator, count: int, dtype: torch.dtype, device: torch.device) -> None:
        self._generator, self._dtype = generator, dtype
        layers = generator.layers()
        # Convolutions first: they are computed in the low precision, normalisation in float32.
        order = sorted(layers, key=lambda name: not isinstance(layers[name], Conv))
        self.places = [(name, which) for name in order for which in layers[name].shapes]
        self._shapes = [layers[name].shapes[which] for name, which in self.places]
        self._layers = [(layers[name], which) for name, which in self.places]
        self._sizes = [torch.Size(shape).numel() for shape in self._shapes]
        self._low_places = sum(isinstance(layer, Conv) for layer, _ in self._layers)
        self._low_weights = sum(self._sizes[: self._low_places])
        self.matrix = torch.zeros(count, sum(self._sizes), dtype=torch.float32, device=device, requires_grad=True)
        # One picture's maps are kept channels last, several pictures' maps have to lie side by side.
        layout = torch.channels_last if count == 1 else torch.contiguous_format
        noise = torch.zeros(count, *generator.noise_shape(), dtype=dtype, device=device)
        self._noise = noise.contiguous(memory_format=layout)
        self._base = torch.zeros(count, 3, generator.height, generator.width, dtype=torch.float32, device=device)

    def put(self, row: int, target: Tensor, seed: int) -> None:
        """Begin a new picture (``3×H×W``) in a row, its weights and noise drawn from ``seed``."""
        weights, noise = self._generator.draw(seed)
        with torch.no_grad():
            self.matrix[row] = torch.cat([weights[place].flatten() for place in self.places])
            self._noise[row] = noise
            self._base[row] = self._generator.base(target)

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        self.matrix = self.matrix.detach()[rows].requires_grad_()
        self._noise, self._base = self._noise[rows], self._base[rows]

    def __call__(self) -> Tensor:
        """The pictures, ``N×3×H×W`` float32, not clamped."""
        parts = [
            *self.matrix[:, : self._low_weights].to(self._dtype).split(self._sizes[: self._low_places], dim=1),
            *self.matrix[:, self._low_weights :].split(self._sizes[self._low_places :], dim=1),
        ]
        for (layer, which), part, shape in zip(self._layers, parts, self._shapes, strict=True):
            setattr(layer, which, part.unflatten(1, shape))
        drawn: Tensor = self._generator(self._noise)
        return self._base + drawn
