import pytest
import torch
from torch import Tensor

from deep_protection import Fixed, OptionError, Oracle
from deep_protection.stopping import Checkpoint, Decision, StopRule, Trajectory, parse_stop, psnr


def trajectory(iterations: list[int]) -> Trajectory:
    """Checkpoints whose output is a constant picture of brightness iteration/100."""
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
    assert rule.decide(trajectory([25, 50])).take == 1


@pytest.mark.parametrize(("k", "expected"), [(1, 50), (3, 40)])
def test_the_oracle_stops_when_the_true_class_enters_the_top_k(k: int, expected: int) -> None:
    rule = Oracle(brightness_classes, [5], k=k, limit=1000).for_picture(0)
    path = [10 * step for step in range(1, 10)]
    stopped = next(n for n in range(1, len(path)) if rule.decide(trajectory(path[:n])).stop)
    assert path[stopped - 1] == expected
    assert "oracle" in rule.decide(trajectory(path[:stopped])).reason
    assert "oracle" in repr(rule)


def test_the_oracle_gives_up_at_its_limit() -> None:
    rule = Oracle(brightness_classes, [9], k=1, limit=30).for_picture(0)
    decision = rule.decide(trajectory([10, 20, 30]))
    assert decision.stop
    assert decision.reason == "oracle: true class not in the top 1 within 30 iterations"


def test_the_oracle_knows_each_pictures_own_label() -> None:
    rule = Oracle(brightness_classes, [2, 7], k=1)
    assert rule.for_picture(0).decide(trajectory([20])).stop
    assert not rule.for_picture(1).decide(trajectory([20])).stop
    with pytest.raises(OptionError, match="2 labels but asked for picture 3"):
        rule.for_picture(2)


def test_rules_are_found_by_name() -> None:
    rule = parse_stop("fixed:120")
    assert isinstance(rule, Fixed)
    assert (rule.limit, repr(rule)) == (120, "fixed:120")
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
        ("soon", "unknown stop rule 'soon'; there are: fixed, oracle"),
    ],
)
def test_bad_names_say_what_to_write(name: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        parse_stop(name)


def test_psnr() -> None:
    black = torch.zeros(3, 4, 4)
    assert psnr(black, black + 0.1) == pytest.approx(20.0, abs=1e-5)
    assert psnr(black, black) == float("inf")


def test_what_a_rule_remembers_is_its_pictures_own() -> None:
    class Forgetful(StopRule):
        name = "forgetful"
        limit = 10

        def __init__(self) -> None:
            self.reset()

        def reset(self) -> None:
            self.seen: list[int] = []

        def decide(self, trajectory: Trajectory) -> Decision:
            self.seen.append(len(trajectory))
            return Decision(False, 0, f"{len(self.seen)} seen")

    rule = Forgetful()
    first, second = rule.for_picture(0), rule.for_picture(1)
    first.decide(trajectory([1]))
    assert (first.seen, second.seen, rule.seen) == ([1], [], [])
