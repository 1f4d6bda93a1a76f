"""What a stack's iteration is made of, on a device: its convolutions computed in two ways, and the whole iteration as
it is and recorded as a CUDA graph.

The engine computes convolutions in groups, one a network. Whether patches and a batched product are quicker, and what
is lost by the host's orders one by one, only a GPU can say; nothing here is in the engine yet.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from deep_protection.fitting import Adam, effective_precision, find_device
from deep_protection.fitting.networks import Networks
from deep_protection.generators import find_generator
from deep_protection.generators.layers import Conv, apart, side_by_side
from deep_protection.restoration import find_preset

SIDE, LEAST_CALLS = 224, 3
RATE = 0.01

Step = Callable[[], object]


def by_groups(maps: Tensor, weight: Tensor, stride: int, margin: int) -> Tensor:
    """``N×C×H×W`` maps, ``N×O×C×K×K`` weights: as the engine does, one group a network."""
    count = len(maps)
    drawn = F.conv2d(side_by_side(maps), weight.flatten(0, 1), stride=stride, padding=margin, groups=count)
    return apart(drawn, count)


def by_patches(maps: Tensor, weight: Tensor, stride: int, margin: int) -> Tensor:
    """The same by patches as columns and one batched product."""
    count, outputs, _, kernel, _ = weight.shape
    height, width = (-(-side // stride) for side in maps.shape[-2:])
    columns = maps.flatten(2) if kernel == stride == 1 else F.unfold(maps, kernel, padding=margin, stride=stride)
    return (weight.flatten(2) @ columns).view(count, outputs, height, width)


WAYS = {"groups": by_groups, "patches": by_patches}


def convolutions(device: str, batches: tuple[int, ...], seconds: float) -> Iterator[dict[str, Any]]:
    """Milliseconds forwards and backwards of each kind of convolution of ``fast``, both ways."""
    where = find_device(device)
    low = effective_precision("bfloat16", where) == "bfloat16"
    dtype = torch.bfloat16 if low else torch.float32
    for batch in batches:
        longest = 0.0
        for (inputs, outputs, kernel, stride, height, width), times in _kinds().items():
            random = torch.Generator().manual_seed(0)
            maps = torch.randn(batch, inputs, height, width, generator=random).to(where, dtype).requires_grad_()
            scale = (inputs * kernel**2) ** -0.5
            weight = scale * torch.randn(batch, outputs, inputs, kernel, kernel, generator=random)
            weight = weight.to(where, dtype).requires_grad_()
            row: dict[str, Any] = {"what": "convolution", "of": [inputs, outputs, kernel, stride, height, width]}
            drawn = {}
            for name, way in WAYS.items():

                def both(way: Callable[..., Tensor] = way, maps: Tensor = maps, weight: Tensor = weight) -> None:
                    made = way(maps, weight, stride, kernel // 2)  # noqa: B023  (called at once)
                    torch.autograd.grad(made, (maps, weight), torch.ones_like(made))

                with torch.no_grad():
                    drawn[name] = way(maps, weight, stride, kernel // 2).float()
                spent = _seconds(both, where)
                longest = max(longest, spent)
                row |= {name: round(1000 * spent, 4)}
            far = (drawn["groups"] - drawn["patches"]).abs().max() / drawn["groups"].abs().max()
            yield {**row, "times": times, "images": batch, "furthest": round(far.item(), 6)}
        if longest * 40 > seconds:
            break


def steps(device: str, batches: tuple[int, ...], seconds: float) -> Iterator[dict[str, Any]]:
    """Milliseconds of an iteration of ``fast``; on CUDA, recorded as a graph and replayed, too."""
    where = find_device(device)
    for batch in batches:
        step = iteration(batch, where)
        spent = _seconds(step, where)
        row: dict[str, Any] = {"what": "iteration", "images": batch, "as_it_is": round(1000 * spent, 4)}
        if where.type == "cuda":
            try:
                row["graph"] = round(1000 * _seconds(recorded(iteration(batch, where)), where), 4)
            except RuntimeError as error:  # what cannot be recorded is a finding, too
                row["graph_failed"] = str(error).splitlines()[0]
        yield row
        if spent * 40 > seconds:
            break


def iteration(count: int, device: torch.device) -> Step:
    """One iteration of a stack, without what the host decides in between; gives the losses."""
    recipe = find_preset("fast").recipe
    low = effective_precision(recipe.precision, device) == "bfloat16"
    networks = Networks(
        find_generator(recipe.generator)(SIDE, SIDE), count, torch.bfloat16 if low else torch.float32, device
    )
    coarse = torch.rand(count, 3, SIDE // 16, SIDE // 16, generator=torch.Generator().manual_seed(0))
    targets = F.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic").clamp(0, 1).to(device)
    for row, target in enumerate(targets):
        networks.init_row(row, target, seed=row)
    optimiser = Adam(networks.matrix, RATE)

    def step() -> Tensor:
        losses = F.mse_loss(networks(), targets, reduction="none").mean(dim=(1, 2, 3))
        optimiser.step(networks.matrix, networks.gradient(losses.sum()))
        return losses.detach()

    return step


def recorded(step: Step) -> Step:
    """``step`` as a CUDA graph: its orders are given once, and repeated by one."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(LEAST_CALLS):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(kept: Step = step) -> Step:
        graph.replay()
        return kept  # whose weights, outside the graph's memory, must live as long as it is replayed

    return replay


def _kinds() -> dict[tuple[int, ...], int]:
    """Convolutions of ``fast``: inputs, outputs, kernel, stride, height, width, and how many there are of each."""
    found: dict[tuple[int, ...], int] = {}
    networks = Networks(
        find_generator(find_preset("fast").recipe.generator)(SIDE, SIDE), 1, torch.float32, torch.device("cpu")
    )

    def note(layer: Any, given: tuple[Tensor, ...]) -> None:
        outputs, kernel, _, inputs = layer.shapes["weight"]
        kind = (inputs, outputs, kernel, layer.stride, *given[0].shape[-2:])
        found[kind] = found.get(kind, 0) + 1

    hooks = [
        layer.register_forward_pre_hook(note) for layer in networks._generator.modules() if isinstance(layer, Conv)
    ]
    networks()
    for hook in hooks:
        hook.remove()
    return found


def _seconds(step: Step, device: torch.device) -> float:
    """Of the quickest of some calls, after one that chooses kernels."""
    step()
    times = []
    for _ in range(LEAST_CALLS):
        _wait(device)
        begin = time.perf_counter()
        step()
        _wait(device)
        times.append(time.perf_counter() - begin)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
