"""The work itself, in whichever process it is done: one unit in, one outcome out."""

import time
from dataclasses import replace
from math import gcd

import torch
from torch import Tensor, nn

from deep_protection import attacks
from deep_protection.attacks import AttackSpec, find_attack, is_fooled
from deep_protection.classifiers import Classifier, load_classifier
from deep_protection.evaluation.baselines import Baseline
from deep_protection.evaluation.corruptions import CORRUPTIONS
from deep_protection.evaluation.defences import find_defence
from deep_protection.evaluation.experiment.adaptive import MATCHING, Defended
from deep_protection.evaluation.experiment.judging import answer_columns, as_array, checkpoint_rows, distance_columns
from deep_protection.evaluation.experiment.rules import (
    companions,
    find_rule,
    fit_length,
    fixed_rules,
    mean_of,
    replay_all,
)
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
from deep_protection.evaluation.protections import Protection
from deep_protection.evaluation.views import probabilities
from deep_protection.fitting import FitTask, fit
from deep_protection.logits import as_probabilities
from deep_protection.restoration import Preset, find_device
from deep_protection.seeds import image_seed
from deep_protection.stopping import Fixed, Trajectory

EXPLAINED = ("answer", "is_suspicious", "p_value", "agreement", "strength")
"""Columns of defences that answer by themselves, where their explanation has them."""
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
        return self.attack(unit) if isinstance(unit, AttackUnit) else self._defend(unit)

    def attack(self, unit: AttackUnit) -> Attacked:
        clean = torch.from_numpy(unit.clean).to(self.device)
        begin = time.perf_counter()
        try:
            seed = image_seed(unit.seed, clean)
            if unit.attack in CORRUPTIONS:
                return _corrupted(unit, seed)
            label = torch.tensor([unit.label]).to(self.device)
            model, spec = self._target(unit, seed)
            made = attacks.attack(model, clean[None], label, spec, seed=seed)
            if (judge := self._judge(unit, seed)) is not None:
                rounded = made.adversarial.mul(255).round().div(255)
                made = replace(
                    made,
                    success=is_fooled(judge, made.adversarial, label, made.targets),
                    success_8bit=is_fooled(judge, rounded, label, made.targets),
                )
        except Exception as error:  # foolbox asserts and raises nearly anything; one image's failure is a row
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
            model = Defended(self.classifier, unit, seed, device=self.device)
            return model, unit.spec or find_attack(unit.attack)
        name, _, other = unit.attack.partition("@")
        if not other:
            return self.classifier, find_attack(name)
        if other not in self._others:
            self._others[other] = load_classifier(other).to(self.device)
        return self._others[other], find_attack(name)

    def _judge(self, unit: AttackUnit, seed: int) -> nn.Module | None:
        """Whose answer says whether the attack fooled, where that is another's than the one it was made on."""
        if unit.against is None and "@" in unit.attack:  # what counts is whether it carries over
            return self.classifier
        if unit.attack in MATCHING:  # made on all that is asked: what counts is the answer that is given
            return Defended(self.classifier, replace(unit, attack="bpda"), seed, device=self.device)
        return None

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
        defence = find_defence(unit.defence)
        if isinstance(defence, Baseline):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            output = defence.apply(given)
            cost = {"cpu_seconds": time.process_time() - begin_cpu, "seconds": time.perf_counter() - begin}
            answer = answer_columns(self.probabilities(output[None], unit.views)[0], unit.label)
            return Judged([{**measured, **_NO_FIT, **answer, **cost, **distance_columns(output, clean)}], [])
        if isinstance(defence, Protection):
            return Judged([{**measured, **self._answered(defence, given, unit, clean)}], [])
        preset = defence
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
                distances[taken] = distance_columns(torch.stack([each.restored for each in ended]).mean(dim=0), clean)
            longest = max(ended, key=lambda each: each.iteration_chosen)
            probabilities = torch.stack([own[each.chosen] for own, each in zip(known, ended, strict=True)]).mean(dim=0)
            asked = sum(len(each) for each in ended) / len(fits) if rule.asks_classifier else 0.0
            results.append(
                {
                    **measured,
                    "stop": stop,
                    "stop_reason": longest.reason,
                    "iterations_run": max(each.iterations_run for each in ended),
                    "iteration_chosen": longest.iteration_chosen,
                    **answer_columns(probabilities, unit.label),
                    "cpu_seconds": cpu * share + asking * asked,
                    "seconds": sum(each[-1].seconds for each in fits) * share,
                    **distances[taken],
                }
            )
        together = mean_of(fits)
        probabilities = torch.stack(known).mean(dim=0)
        return Judged(results, list(checkpoint_rows(about, together, probabilities, unit.label, clean)))

    @torch.no_grad()
    def _answered(self, defence: Protection, given: Tensor, unit: DefenceUnit, clean: Tensor) -> Row:
        """What a defence says that answers by itself, and why."""
        model = defence.build(self.classifier, unit.seed, self.device)
        begin, begin_cpu = time.perf_counter(), time.process_time()
        found = model.explain(given[None].to(self.device))[0]
        cost = {"cpu_seconds": time.process_time() - begin_cpu, "seconds": time.perf_counter() - begin}
        return {
            **_NO_FIT,
            **answer_columns(as_probabilities(found.logits).cpu(), unit.label),
            **cost,
            **distance_columns(getattr(found, "restored", given).cpu(), clean),
            **{name: getattr(found, name, None) for name in EXPLAINED},
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
            for images in (trajectory.outputs, *trajectory.companions.values()):
                images.update({index: image.cpu() for index, image in images.items()})
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


def _outputs(trajectory: Trajectory) -> Tensor:
    return torch.stack([trajectory.outputs[index] for index in range(len(trajectory))])
