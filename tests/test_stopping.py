import pytest
import torch
from PIL import Image
from torch import Tensor

import deep_protection as dp
from deep_protection import Fixed, OptionError, Oracle
from deep_protection.stopping import (
    STOP_RULES,
    Agreement,
    Checkpoint,
    Decision,
    EarlyStopping,
    MovingVariance,
    Stability,
    StopRule,
    SubImages,
    Trajectory,
    WindowedVariance,
    WorstTile,
    parse_stop,
    psnr,
)
from deep_protection.stopping.companions import known_noise


def trajectory(iterations: list[int]) -> Trajectory:
    """Checkpoints whose output is a constant image of brightness iteration/100."""
    path = Trajectory(torch.zeros(3, 4, 4))
    for index, iteration in enumerate(iterations):
        path.checkpoints.append(Checkpoint(iteration, 0.1, 20.0, 0.0))
        path.outputs[index] = torch.full((3, 4, 4), iteration / 100)
    return path


def brightness_classes(pixels: Tensor) -> Tensor:
    """A classifier of ten classes: the brightness in tenths."""
    return -(torch.arange(10) - pixels.mean(dim=(1, 2, 3)).mul(10)[:, None]).abs()


def test_fixed_stops_at_its_count_and_takes_the_newest() -> None:
    rule = Fixed(50)
    assert rule.decide(trajectory([25])) == Decision(False, 0, "fixed count of 50 iterations reached")
    assert rule.decide(trajectory([25, 50])).stop
    assert rule.decide(trajectory([25, 50])).select == 1


@pytest.mark.parametrize(("k", "expected"), [(1, 50), (3, 40)])
def test_the_oracle_stops_when_the_true_class_enters_the_top_k(k: int, expected: int) -> None:
    rule = Oracle(brightness_classes, [5], k=k, max_iterations=1000).for_image(0)
    path = [10 * step for step in range(1, 10)]
    stopped = next(n for n in range(1, len(path)) if rule.decide(trajectory(path[:n])).stop)
    assert path[stopped - 1] == expected
    assert "oracle" in rule.decide(trajectory(path[:stopped])).reason
    assert "oracle" in repr(rule)


def test_the_oracle_gives_up_at_its_limit() -> None:
    rule = Oracle(brightness_classes, [9], k=1, max_iterations=30).for_image(0)
    decision = rule.decide(trajectory([10, 20, 30]))
    assert decision.stop
    assert decision.reason == "oracle: true class not in the top 1 within 30 iterations"


def test_the_oracle_knows_each_images_own_label() -> None:
    rule = Oracle(brightness_classes, [2, 7], k=1)
    assert rule.for_image(0).decide(trajectory([20])).stop
    assert not rule.for_image(1).decide(trajectory([20])).stop
    with pytest.raises(OptionError, match="2 labels but asked for image 3"):
        rule.for_image(2)


def test_rules_are_found_by_name() -> None:
    rule = parse_stop("fixed:120")
    assert isinstance(rule, Fixed)
    assert (rule.max_iterations, repr(rule)) == (120, "fixed:120")
    assert parse_stop(rule) is rule


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fixed", "as in fixed:200"),
        ("fixed:", "as in fixed:200"),
        ("fixed:abc", "as in fixed:200"),
        ("fixed:-5", "as in fixed:200"),
        ("fixed:0", "at least 1"),
        ("oracle", "needs the true labels"),
        ("emv:soon", "emv:soon is not a number of iterations; write it as in emv:20"),
        ("self:much", "self:much is not a number"),
        ("auto:90", "for a count write fixed:90"),
        ("auto:1", "2 to 20"),
        ("auto:soon", "2 to 20"),
        ("soon", "unknown stop rule 'soon'; there are: agreement, auto, discrepancy, emv"),
    ],
)
def test_bad_names_say_what_to_write(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_stop(name)


def test_auto_asks_for_as_many_same_answers_as_its_name_says_where_there_is_a_classifier() -> None:
    for name, runs in (("auto", 4), ("auto:3", 3)):
        rule = parse_stop(name, 100).with_classifier(lambda pixels: pixels.mean(dim=(2, 3)))
        assert isinstance(rule, Stability)
        assert (rule.consecutive, rule.max_iterations, repr(rule)) == (runs, 100, name)
        assert parse_stop(name, 100).max_iterations == 50


def test_psnr() -> None:
    black = torch.zeros(3, 4, 4)
    assert psnr(black, black + 0.1) == pytest.approx(20.0, abs=1e-5)
    assert psnr(black, black) == float("inf")


def test_what_a_rule_remembers_is_its_images_own() -> None:
    class Forgetful(StopRule):
        name = "forgetful"
        max_iterations = 10

        def __init__(self) -> None:
            self.reset()

        def reset(self) -> None:
            self.seen: list[int] = []

        def decide(self, trajectory: Trajectory) -> Decision:
            self.seen.append(len(trajectory))
            return Decision(False, 0, f"{len(self.seen)} seen")

    rule = Forgetful()
    first, second = rule.for_image(0), rule.for_image(1)
    assert isinstance(first, Forgetful)
    assert isinstance(second, Forgetful)
    first.decide(trajectory([1]))
    assert (first.seen, second.seen, rule.seen) == ([1], [], [])


def figures(name: str, values: list[float], patience: int = 20) -> list[Decision]:
    """The decisions of a rule that looks for a minimum, on figures at iterations 10, 20, …"""

    class Given(EarlyStopping):
        minimum_of = "figure"

        def measure(self, trajectory: Trajectory) -> float:
            return values[len(trajectory) - 1]

    Given.name = name
    rule = Given(max_iterations=1000, patience=patience).for_image(0)
    path = trajectory([10 * step for step in range(1, len(values) + 1)])
    return [rule.decide(part(path, n)) for n in range(1, len(values) + 1)]


def part(path: Trajectory, n: int) -> Trajectory:
    """A trajectory as it was after ``n`` checkpoints."""
    return Trajectory(path.target, path.checkpoints[:n], path.outputs)


def test_a_patient_rule_takes_the_minimum_and_waits_no_longer_than_its_patience() -> None:
    decisions = figures("given", [5, 3, 4, 2, 2.5, 3, 1])
    assert [decision.select for decision in decisions] == [0, 1, 1, 3, 3, 3, 6]
    assert [decision.stop for decision in decisions] == [False, False, False, False, False, True, False]
    assert "figure smallest at iteration 40, none smaller in 20 iterations" in decisions[5].reason


@pytest.mark.parametrize("rule", [MovingVariance, WindowedVariance, WorstTile, SubImages, Agreement])
def test_patient_rules_remember_nothing_of_the_image_before(rule: type[EarlyStopping]) -> None:
    shared = rule(max_iterations=100, patience=30)
    draw = torch.Generator().manual_seed(1)
    paths = [noisy_path(draw), noisy_path(draw)]
    alone = [rule(max_iterations=100, patience=30) for _ in paths]
    for index, path in enumerate(paths):
        copy = shared.for_image(index)
        assert [copy.decide(part_of(path, n)) for n in range(1, 9)] == [
            alone[index].decide(part_of(path, n)) for n in range(1, 9)
        ]


def noisy_path(draw: torch.Generator, length: int = 8, left: float = 0.5, growth: float = 2.3) -> Trajectory:
    """An image that comes out of a grey one step by step, under noise that grows: best in the middle."""
    image = torch.rand(3, 1, 1, generator=draw).expand(3, 64, 64)
    path = Trajectory(image + 0.05 * torch.randn(3, 64, 64, generator=draw))
    for index in range(length):
        clean = 0.5 + (image - 0.5) * (1 - left**index)
        both = [clean + 0.002 * growth**index * torch.randn(3, 64, 64, generator=draw) for _ in range(2)]
        path.checkpoints.append(Checkpoint(10 * (index + 1), 0.1, psnr(both[0], path.target), 0.0))
        path.outputs[index] = both[0]
        path.companions.setdefault("reseeded", {})[index] = both[1]
    return path


def part_of(path: Trajectory, n: int) -> Trajectory:
    return Trajectory(path.target, path.checkpoints[:n], path.outputs, path.companions)


@pytest.mark.parametrize("rule", [MovingVariance, WindowedVariance])
def test_the_variance_of_outputs_is_least_between_drawing_and_noise(rule: type[EarlyStopping]) -> None:
    path = noisy_path(torch.Generator().manual_seed(0), length=24, left=0.7, growth=1.3)
    found = rule(max_iterations=1000, patience=1000)
    takes = [found.decide(part_of(path, n)).select for n in range(1, 25)]
    assert 5 <= takes[-1] <= 17


@pytest.mark.parametrize("rule", [SubImages, Agreement])
def test_noise_parts_what_the_image_holds_together(rule: type[EarlyStopping]) -> None:
    """Halves of one output, or two fits: on a flat image they differ by the noise alone, which only grows."""
    path = noisy_path(torch.Generator().manual_seed(0))
    found = rule(max_iterations=100, patience=20)
    decisions = [found.decide(part_of(path, n)) for n in range(1, 4)]
    assert [decision.select for decision in decisions] == [0, 0, 0]
    assert decisions[-1].stop


def test_the_worst_tile_counts_and_not_the_mean() -> None:
    """Tile after tile is drawn: the worst stays as bad as it was until the last one is there."""
    target = torch.zeros(3, 64, 64)
    rule = WorstTile(max_iterations=100, patience=1000, share=0.99)
    path = Trajectory(target)
    values = []
    for index in range(4):
        output = torch.full((3, 64, 64), 0.5)
        for tile in range(index + 1):
            output[:, 32 * (tile // 2) :, 32 * (tile % 2) :][:, :32, :32] = 0.01
        path.checkpoints.append(Checkpoint(10 * (index + 1), 0.1, 20.0, 0.0))
        path.outputs[index] = output
        values.append(rule.measure(path))
    assert values[0] == pytest.approx(values[1], abs=0.5) == pytest.approx(values[2], abs=0.5)
    assert values[3] < values[2] - 20


def test_the_discrepancy_ends_at_its_level() -> None:
    rule = parse_stop("discrepancy:25", max_iterations=70)
    path = trajectory([10])
    assert not rule.decide(path).stop
    path.checkpoints.append(Checkpoint(20, 0.1, 25.5, 0.0))
    assert rule.decide(path).stop
    assert rule.max_iterations == 70


def test_known_noise_that_is_drawn_ends_a_fit() -> None:
    rule = parse_stop("self:0.5")
    path = trajectory([10, 20])
    noise = known_noise(path.target)
    path.companions["noisier"] = {0: path.outputs[0] + 0.3 * noise, 1: path.outputs[1] + 0.6 * noise}
    assert not rule.decide(Trajectory(path.target, path.checkpoints[:1], path.outputs, path.companions)).stop
    decision = rule.decide(path)
    assert decision.stop
    assert decision.reason.startswith("60.0% of known noise drawn at iteration 20")


def test_stability_waits_for_the_same_answer_and_falls_back_on_the_surest() -> None:
    rule = Stability(max_iterations=1000, consecutive=3, classifier=lambda pixels: 8 * brightness_classes(pixels))
    assert [rule.decide(trajectory(path)).stop for path in ([50], [50, 52], [50, 52, 49])] == [False, False, True]
    rule = Stability(max_iterations=40, consecutive=3, classifier=rule.classifier)
    for path in ([10], [10, 24], [10, 24, 30], [10, 24, 30, 44]):
        decision = rule.decide(trajectory(path))
    assert decision.stop
    assert decision.select == 0
    with pytest.raises(OptionError, match="asks a classifier"):
        dp.purify(torch.zeros(3, 16, 16), stop="stable")
    assert rule.with_classifier(lambda _: torch.zeros(1, 10)) is rule


@pytest.mark.parametrize("name", ["agreement", "self"])
def test_a_rule_with_a_second_fit_gets_it_and_the_fit_that_counts_is_the_same(name: str) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    seen: list[float] = []

    class Curious(Fixed):
        companion = parse_stop(name).companion

        def decide(self, trajectory: Trajectory) -> Decision:
            assert self.companion is not None
            other = trajectory.companion_output(self.companion)
            seen.append((other - trajectory.latest_output).abs().mean().item())
            return super().decide(trajectory)

    with_companion = dp.purify(image, stop=Curious(20), workers=1)
    assert torch.equal(with_companion, dp.purify(image, stop="fixed:20", workers=1))
    assert len(seen) == 2
    assert all(difference > 1e-4 for difference in seen)


@pytest.mark.parametrize("name", sorted({*STOP_RULES} - {"fixed", "oracle", "stable"}))
def test_every_rule_ends_a_real_fit_within_its_limit(name: str, photograph: Image.Image) -> None:
    result = dp.purify(photograph.resize((48, 48)), stop=parse_stop(name, 40), return_details=True, workers=1)
    assert 10 <= result.iteration_chosen <= result.iterations_run <= 40
    assert result.stop_rule.startswith(name)
    assert result.stop_reason
