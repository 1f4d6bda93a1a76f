"""The work itself, in whichever process it is done: one unit in, one outcome out."""

import time
from collections.abc import Iterator
from dataclasses import replace
from math import gcd
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deep_protection.attacks import AttackSpec, attack, find_attack, is_fooled
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation.baselines import BASELINES
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.experiment.adaptive import Defended
from deep_protection.evaluation.experiment.units import (
    UNTOUCHED,
    Attacked,
    AttackUnit,
    DefenceUnit,
    Judged,
    Outcome,
    Row,
    Unit,
    tier_of,
)
from deep_protection.evaluation.fidelity import detail_kept
from deep_protection.evaluation.protections import PROTECTIONS
from deep_protection.evaluation.views import probabilities
from deep_protection.fitting import FitTask, fit
from deep_protection.logits import as_probabilities
from deep_protection.restoration import Preset, find_device, find_preset
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed, Oracle, StopRule, Trajectory, parse_stop, psnr, replay

BEST = 99.0
"""PSNR of a picture to itself, which is infinite, in dB."""


_NO_FIT: Row = {"stop": "none", "stop_reason": "", "iterations_run": 0, "iteration_chosen": 0}
"""Of defences without a stop rule."""


class Worker:
    """A classifier and what is done with it."""

    def __init__(self, classifier: str, device: str) -> None:
        self.device = find_device(device)
        self.classifier: Classifier = load_classifier(classifier).to(self.device)
        self._others: dict[str, Classifier] = {}

    def __call__(self, unit: Unit) -> Outcome:
        """An error of one attack or defence is an outcome, not the end of the others."""
        return self._attack(unit) if isinstance(unit, AttackUnit) else self._defend(unit)

    def _attack(self, unit: AttackUnit) -> Attacked:
        clean = torch.from_numpy(unit.clean).to(self.device)
        begin = time.perf_counter()
        try:
            seed = image_seed(unit.seed, clean)
            if unit.attack in CORRUPTIONS:
                return _corrupted(unit, seed)
            label = torch.tensor([unit.label]).to(self.device)
            model, spec = self._target(unit, seed)
            made = attack(model, clean[None], label, spec, seed=seed)
            if model is not self.classifier and unit.against is None:  # what counts is whether it carries over
                rounded = made.adversarial.mul(255).round().div(255)
                made = replace(
                    made,
                    success=is_fooled(self.classifier, made.adversarial, label, made.targets),
                    success_8bit=is_fooled(self.classifier, rounded, label, made.targets),
                )
        except Exception as error:  # foolbox asserts and raises nearly anything; one picture's failure is a row
            message = f"{type(error).__name__}: {error}"
            spent = time.perf_counter() - begin
            return Attacked(unit.clean, {**UNTOUCHED, "attack_seconds": spent, "error": message})
        return Attacked(
            made.adversarial[0].cpu().numpy(),
            {
                "attack_success": bool(made.success[0]),
                "attack_success_8bit": bool(made.success_8bit[0]),
                "linf": made.linf[0].item(),
                "l2": made.l2[0].item(),
                "queries": made.queries[0].item(),
                "attack_seconds": time.perf_counter() - begin,
                "error": None,
            },
        )

    def _target(self, unit: AttackUnit, seed: int) -> tuple[nn.Module, AttackSpec]:
        """What is attacked, and how: the classifier, another one (``pgd@lite2``), or the defence and all."""
        if unit.against is not None:
            low, match = (unit.attack.endswith(each) for each in ("-low", "-match"))
            model = Defended(self.classifier, unit.against, seed, low=low, match=match, device=self.device)
            return model, unit.spec or find_attack(unit.attack)
        name, _, other = unit.attack.partition("@")
        if not other:
            return self.classifier, find_attack(name)
        if other not in self._others:
            self._others[other] = load_classifier(other).to(self.device)
        return self._others[other], find_attack(name)

    def _defend(self, unit: DefenceUnit) -> Judged:
        clean, given = torch.from_numpy(unit.clean), torch.from_numpy(unit.attacked.adversarial)
        about: Row = {
            "image": unit.image,
            "label": unit.label,
            "attack": unit.attack,
            "defence": unit.defence,
            "seed": unit.seed,
            "views": unit.views,
        }
        measured = {
            **about,
            "tier": tier_of(unit.attack),
            "clean_correct": unit.clean_correct,
            **unit.attacked.measured,
        }
        if unit.defence in BASELINES:
            begin, begin_cpu = time.perf_counter(), time.process_time()
            output = BASELINES[unit.defence].apply(given)
            cost = {"cpu_seconds": time.process_time() - begin_cpu, "seconds": time.perf_counter() - begin}
            answer = _answer(self.probabilities(output[None], unit.views)[0], unit.label)
            return Judged([{**measured, **_NO_FIT, **answer, **cost, **_distances(output, clean)}], [])
        if unit.defence in PROTECTIONS:
            return Judged([{**measured, **self._answered(given, unit, clean)}], [])
        preset = find_preset(unit.defence)
        begin_cpu = time.process_time()
        fits = self._fits(preset, given, unit)
        cpu = time.process_time() - begin_cpu
        begin_cpu = time.process_time()
        known = [self.probabilities(_outputs(each), unit.views) for each in fits]
        asking = (time.process_time() - begin_cpu) / len(fits[0])
        results: list[Row] = []
        distances: dict[tuple[int, ...], Row] = {}
        beside = 1 + len(companions(unit.stops, preset))
        for stop in unit.stops:
            rule = find_rule(stop, preset, known[0], unit.label)
            ended = replay_all(stop, preset, fits, known, unit.label)
            spent = sum(each.iterations_run for each in ended) / sum(each[-1].iteration for each in fits)
            # A second fit beside costs as much as the first, and only the rule pays for it that wants it.
            share = spent * (2 if rule.companion else 1) / beside
            taken = tuple(each.chosen for each in ended)
            if taken not in distances:  # many rules take the same checkpoint
                distances[taken] = _distances(torch.stack([each.restored for each in ended]).mean(dim=0), clean)
            longest = max(ended, key=lambda each: each.iteration_chosen)
            chances = torch.stack([own[each.chosen] for own, each in zip(known, ended, strict=True)]).mean(dim=0)
            asked = sum(len(each) for each in ended) / len(fits) if rule.asks_classifier else 0.0
            results.append(
                {
                    **measured,
                    "stop": stop,
                    "stop_reason": longest.reason,
                    "iterations_run": max(each.iterations_run for each in ended),
                    "iteration_chosen": longest.iteration_chosen,
                    **_answer(chances, unit.label),
                    "cpu_seconds": cpu * share + asking * asked,
                    "seconds": sum(each[-1].seconds for each in fits) * share,
                    **distances[taken],
                }
            )
        together = _mean(fits)
        chances = torch.stack(known).mean(dim=0)
        return Judged(results, list(_checkpoints(about, together, chances, unit.label, clean)))

    @torch.no_grad()
    def _answered(self, given: Tensor, unit: DefenceUnit, clean: Tensor) -> Row:
        """What a defence says that answers by itself, and why."""
        model = PROTECTIONS[unit.defence].build(self.classifier, unit.seed, self.device)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        found = model.explain(given[None].to(self.device))[0]
        cost = {"cpu_seconds": time.process_time() - begin_cpu, "seconds": time.perf_counter() - begin}
        return {
            **_NO_FIT,
            **_answer(as_probabilities(found.logits).cpu(), unit.label),
            **cost,
            **_distances(found.restored.cpu(), clean),
            "answer": found.answer,
            "is_suspicious": found.is_suspicious,
            "p_value": found.p_value,
            "agreement": found.agreement,
            "strength": found.strength,
        }

    def _fits(self, preset: Preset, given: Tensor, unit: DefenceUnit) -> list[Trajectory]:
        """Fits long enough for every rule, with all outputs; as many as the preset makes."""
        length = fit_length(unit.stops, preset, unit.iterations)
        every = preset.recipe.checkpoint_every
        for rule in fixed_rules(unit.stops, preset):
            every = gcd(every, rule.max_iterations)
        trajectories = [
            fit(
                FitTask(
                    target=given,
                    recipe=replace(preset.recipe, checkpoint_every=every),
                    rule=Fixed(length),
                    seed=image_seed(unit.seed, given, number),
                    device=self.device,
                    keep_outputs=True,
                    companions=companions(unit.stops, preset),
                )
            )
            for number in range(preset.fits)
        ]
        for trajectory in trajectories:
            for pictures in (trajectory.outputs, *trajectory.companions.values()):
                pictures.update({index: picture.cpu() for index, picture in pictures.items()})
        return trajectories

    def probabilities(self, pixels: Tensor, views: bool) -> Tensor:
        """``N×classes`` for ``N×3×H×W``."""
        return probabilities(self.classifier, pixels.to(self.device), views=views).cpu()


def _corrupted(unit: AttackUnit, seed: int) -> Attacked:
    """A corruption means no harm, so that there is no success to speak of."""
    begin = time.perf_counter()
    clean = torch.from_numpy(unit.clean)
    made = CORRUPTIONS[unit.attack](clean, seed)
    change = made - clean
    measured = {**UNTOUCHED, "linf": change.abs().max().item(), "l2": change.norm().item()}
    return Attacked(as_array(made), {**measured, "attack_seconds": time.perf_counter() - begin})


def replay_all(stop: str, preset: Preset, fits: list[Trajectory], known: list[Tensor], label: int) -> list[Trajectory]:
    """Every fit of a picture ended by its own rule of that name, as ``protect`` does; an oracle ends them together, at
    what they answer together.
    """
    if stop.startswith(Oracle.name):
        known = [torch.stack(known).mean(dim=0)] * len(fits)
    return [replay(find_rule(stop, preset, own, label), each) for each, own in zip(fits, known, strict=True)]


def _outputs(trajectory: Trajectory) -> Tensor:
    return torch.stack([trajectory.outputs[index] for index in range(len(trajectory))])


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


def _mean(trajectories: list[Trajectory]) -> Trajectory:
    """Several fits of a picture as one, its outputs averaged checkpoint by checkpoint."""
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


def judged(unit: AttackUnit, attacked: Attacked, output: Tensor, chances: Tensor) -> Row:
    """What every row holds of a picture under an attack and of what a defence made of it."""
    return {
        "image": unit.image,
        "label": unit.label,
        "attack": unit.attack,
        "tier": tier_of(unit.attack),
        "clean_correct": unit.clean_correct,
        **attacked.measured,
        **_answer(chances, unit.label),
        **_distances(output, torch.from_numpy(unit.clean)),
    }


def _answer(chances: Tensor, label: int) -> Row:
    best = chances.topk(min(5, len(chances))).indices.tolist()
    return {
        "predicted": best[0],
        "top1_correct": best[0] == label,
        "top5_correct": label in best,
        "probability_true": chances[label].item(),
    }


def _distances(output: Tensor, clean: Tensor) -> Row:
    from torchmetrics.functional.image import structural_similarity_index_measure

    ssim = structural_similarity_index_measure(output[None], clean[None], data_range=1.0)
    assert isinstance(ssim, Tensor)  # noqa: S101  (a tuple only where more is asked of it)
    return {
        "psnr_clean": min(psnr(output, clean), BEST),
        "ssim_clean": ssim.item(),
        "detail_kept": detail_kept(output, clean),
    }


def _checkpoints(about: Row, trajectory: Trajectory, known: Tensor, label: int, clean: Tensor) -> Iterator[Row]:
    for index, (point, chances) in enumerate(zip(trajectory, known, strict=True)):
        values, best = chances.topk(min(5, len(chances)))
        yield {
            **about,
            "iteration": point.iteration,
            "loss": point.loss,
            "psnr_input": min(point.psnr, BEST),
            "psnr_clean": min(psnr(trajectory.outputs[index], clean), BEST),
            "seconds": point.seconds,
            "probability_true": chances[label].item(),
            "predicted": best.tolist(),
            "probabilities": [round(value, 6) for value in values.tolist()],
        }


def as_array(pixels: Tensor) -> Any:
    """``3×H×W`` for a unit."""
    return np.ascontiguousarray(pixels.cpu().numpy(), dtype=np.float32)
