"""A stop rule judged on a fit that has been made already."""

from deep_protection.stopping.rule import StopRule
from deep_protection.stopping.trajectory import Trajectory


def replay(rule: StopRule, trajectory: Trajectory) -> Trajectory:
    """What ``rule`` would have made of ``trajectory``, whose outputs were all kept: the same fit, ended by it.

    So rules can be compared on the very same fits. A rule that would go on beyond the trajectory ends with it.
    """
    ended = Trajectory(trajectory.target, companions=trajectory.companions, rollbacks=trajectory.rollbacks)
    for index, point in enumerate(trajectory):
        ended.checkpoints.append(point)
        ended.outputs[index] = trajectory.outputs[index]
        decision = rule.decide(ended)
        ended.chosen, ended.reason, ended.iterations_run = decision.select, decision.reason, point.iteration
        if decision.stop or point.iteration >= rule.max_iterations:
            break
    return ended
