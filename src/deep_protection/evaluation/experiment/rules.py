"""One long fit judged by every stop rule: which rules there are, how long a fit they need, and where each ends it."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from deep_protection.restoration import Preset
from deep_protection.stopping import Fixed, Oracle, StopRule, Trajectory, parse_stop, psnr, replay


def find_rule(stop: str, preset: Preset, known: Tensor | None = None, label: int = 0) -> StopRule:
    """The rule that a name means: those of the package, and ``oracle[:topK]``.

    ``known`` holds the classifier's ``checkpoints×classes`` probabilities, so that rules which ask it need not do so
    again.
    """
    name, _, which = stop.partition(":")
    answers = iter(known if known is not None else ())
    if name != Oracle.name:
        # The logarithm is a logit: softmax gives the probability back.
        return preset.rule(stop).with_classifier(lambda _: next(answers).log()[None]).for_image(0)
    k = {"": 5, "top5": 5, "top1": 1}.get(which)
    if k is None or known is None:
        parse_stop(stop if k is None else "oracle")
    rule = Oracle(lambda _: next(answers)[None], [label], k=k or 5, max_iterations=10**9)
    return rule.for_image(0)


def fixed_rules(stops: tuple[str, ...], preset: Preset) -> Iterator[Fixed]:
    for stop in stops:
        if not stop.startswith(Oracle.name):
            rule = find_rule(stop, preset)
            if isinstance(rule, Fixed):
                yield rule


def companions(stops: tuple[str, ...], preset: Preset) -> tuple[str, ...]:
    """The second fits that the rules among ``stops`` want."""
    rules = (find_rule(stop, preset) for stop in stops if not stop.startswith(Oracle.name))
    return tuple(sorted({rule.companion for rule in rules if rule.companion}))


def fit_length(stops: tuple[str, ...], preset: Preset, iterations: int | None) -> int:
    """As long as the longest rule may take and as ``iterations``; the preset's own for an oracle that has neither."""
    limits = [find_rule(stop, preset).max_iterations for stop in stops if not stop.startswith(Oracle.name)]
    if iterations is not None:
        limits.append(iterations)
    return max(limits, default=preset.rule().max_iterations)


def replay_all(stop: str, preset: Preset, fits: list[Trajectory], known: list[Tensor], label: int) -> list[Trajectory]:
    """Every fit of an image ended by its own rule of that name, as ``protect`` does; an oracle ends them together, at
    what they answer together.
    """
    if stop.startswith(Oracle.name):
        known = [torch.stack(known).mean(dim=0)] * len(fits)
    return [replay(find_rule(stop, preset, own, label), each) for each, own in zip(fits, known, strict=True)]


def mean_of(trajectories: list[Trajectory]) -> Trajectory:
    """Several fits of an image as one, its outputs averaged checkpoint by checkpoint."""
    first, *others = trajectories
    if not others:
        return first
    mean = Trajectory(first.target, rollbacks=sum(each.rollbacks for each in trajectories))
    for index, points in enumerate(zip(*trajectories, strict=True)):
        output = torch.stack([each.outputs[index] for each in trajectories]).mean(dim=0)
        mean.outputs[index] = output
        mean.checkpoints.append(
            replace(
                points[0],
                loss=sum(point.loss for point in points) / len(points),
                psnr=psnr(output, first.target),
                seconds=sum(point.seconds for point in points),
            )
        )
    return mean
