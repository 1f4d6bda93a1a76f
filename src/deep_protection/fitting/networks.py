"""N generators of one kind, one an image, whose weights are the rows of one matrix.

One matrix makes the optimiser a handful of operations whatever the number of layers, and lets any number of images
share every operation.
"""

import torch
from torch import Tensor

from deep_protection.generators import ImageGenerator
from deep_protection.generators.layers import Conv


class Networks:
    """``count`` networks; row n draws image n, whatever the others do.

    The layers hold copies of the matrix, in the precision in which they compute. Those copies and their gradients are
    views that are made once: a view an iteration for each weight would cost more than the optimiser. For one image
    the copy is one cast for each precision; for several, whose weights lie together layer by layer, one for each layer.
    """

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
        self._layers = [(layers[name], which) for name, which in self.places]
        self._sizes = [torch.Size(layers[name].shapes[which]).numel() for name, which in self.places]
        self._low_places = sum(isinstance(layer, Conv) for layer, _ in self._layers)
        self.matrix = torch.zeros(count, sum(self._sizes), dtype=torch.float32, device=device)
        # One image's maps are kept channels last, several images' maps have to lie side by side.
        layout = torch.channels_last if count == 1 else torch.contiguous_format
        noise = torch.zeros(count, *generator.noise_shape(), dtype=dtype, device=device)
        self._noise = noise.contiguous(memory_format=layout)
        self._input_noise: dict[int, InputNoise] = {}
        """By row, where the generator wants them."""
        self._base = torch.zeros(count, 3, generator.height, generator.width, dtype=torch.float32, device=device)
        self._bind()

    def _bind(self) -> None:
        """Give every layer its weights, and a place for their gradient."""
        count, low = len(self.matrix), self._low_places
        self._copies: list[Tensor] = []
        self._gradients: list[Tensor] = []
        self._flat_gradients: list[Tensor] = []
        for dtype, sizes, layers in (
            (self._dtype, self._sizes[:low], self._layers[:low]),
            (torch.float32, self._sizes[low:], self._layers[low:]),
        ):
            # Weights of all images lie side by side for each layer. For one image that is the order of its row.
            shares = [count * size for size in sizes]
            values = torch.zeros(sum(shares), dtype=dtype, device=self.matrix.device)
            gradients = torch.zeros_like(values)
            for (layer, which), value, gradient in zip(
                layers, values.split(shares), gradients.split(shares), strict=True
            ):
                weights = layer.arranged(which, value).detach().requires_grad_()
                weights.grad = layer.arranged(which, gradient)
                setattr(layer, which, weights)
            self._flat_gradients.append(gradients)
            for flat, kept in ((values, self._copies), (gradients, self._gradients)):
                parts = [flat] if count == 1 else flat.split(shares)
                kept.extend(part.view(count, -1) for part in parts)

    def init_row(self, row: int, target: Tensor, seed: int) -> None:
        """Begin a new image (``3×H×W``) in a row, its weights and noise drawn from ``seed``."""
        weights, noise = self._generator.init_parameters(seed)
        with torch.no_grad():
            self.matrix[row] = torch.cat([weights[place].flatten() for place in self.places])
            self._noise[row] = noise
            if self._generator.reg_noise_std:
                self._input_noise[row] = InputNoise(self._noise[row], self._generator.reg_noise_std, seed)
            self._base[row] = self._generator.base(target)

    def select_rows(self, rows: list[int]) -> None:
        """Go on with these rows only."""
        self.matrix = self.matrix[rows]
        self._noise, self._base = self._noise[rows], self._base[rows]
        self._input_noise = {new: self._input_noise[row] for new, row in enumerate(rows) if row in self._input_noise}
        self._bind()

    def __call__(self) -> Tensor:
        """The images, ``N×3×H×W`` float32, not clamped."""
        with torch.no_grad():
            widths = [copy.shape[1] for copy in self._copies]
            for copy, part in zip(self._copies, self.matrix.split(widths, dim=1), strict=True):
                copy.copy_(part)
        drawn: Tensor = self._generator(self.next_inputs())
        return self._base + drawn

    def next_inputs(self) -> Tensor:
        """The noise as the generators see it at this iteration; with input_noise, another one at every call."""
        if not self._input_noise:
            return self._noise
        shown = self._noise.clone()  # in the same layout
        for row, input_noise in self._input_noise.items():
            shown[row] += input_noise.next()
        return shown

    def gradient(self, loss: Tensor) -> Tensor:
        """Of ``loss``, a number computed from the images of the last call, in the matrix: ``N×P`` float32."""
        for flat in self._flat_gradients:
            flat.zero_()
        torch.autograd.backward(loss)
        return torch.cat(self._gradients, dim=1)  # of two precisions: the higher one results


class InputNoise:
    """Gaussian noise for one image's input, another one each time.

    It is cut out of one long row of numbers, at a place drawn anew, which costs a copy where drawing all numbers anew
    would cost ten to twenty times that. What is cut twice lies elsewhere on the input each time.
    """

    def __init__(self, like: Tensor, strength: float, seed: int) -> None:
        """For an input like ``like`` (``C×H×W``): its type and device. ``strength`` is the standard deviation."""
        channels, height, width = like.shape
        self._shape, self._size = (height, width, channels), like.numel()
        self._random = torch.Generator("cpu").manual_seed(seed + 1)  # the generator's weights have the seed itself
        # Drawn on the CPU, so that every device sees the same; at least two different places even for a tiny input.
        row = torch.randn(2 * self._size + 1, generator=self._random, dtype=torch.float32, device="cpu")
        self._row = row.mul_(strength).to(like.device, like.dtype)

    def next(self) -> Tensor:
        """``C×H×W``, a view in channels-last order, which is a single image's own."""
        place = int(torch.randint(self._size + 2, (), generator=self._random, device="cpu"))
        return self._row[place : place + self._size].view(self._shape).permute(2, 0, 1)
