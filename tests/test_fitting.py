import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image, ImageOps

from deep_protection import CancelledError, FitError, OptionError, Progress, Recipe
from deep_protection.fitting import Detail, FitTask, fit, fit_all
from deep_protection.fitting.engine import BatchedFit, FitRequest, result_or_raise
from deep_protection.fitting.networks import Networks
from deep_protection.fitting.optim import Adam, OutputEMA
from deep_protection.fitting.scheduler import _Budget, fit_batched
from deep_protection.generators import GENERATORS
from deep_protection.images import as_image
from deep_protection.stopping import Decision, Fixed, StopRule, Trajectory, psnr

FAST = Recipe(generator="fast", ema_decay=0.95, checkpoint_every=10)
RECIPES = {
    "fast": FAST,
    "fast-bfloat16": Recipe(generator="fast", ema_decay=0.95, checkpoint_every=10, precision="bfloat16"),
    "paper": Recipe(generator="paper", checkpoint_every=10, parallel="operators"),
    "interpolating": Recipe(
        generator="interpolating", ema_decay=0.9, checkpoint_every=10
    ),  # its noise is new every time
}


def task(image: Image.Image, recipe: Recipe = FAST, iterations: int = 30, **options: object) -> FitTask:
    settings = {"rule": Fixed(iterations), "seed": 3, **options}
    return FitTask(target=as_image(image).pixels, recipe=recipe, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_fit_comes_closer_and_closer(small: Image.Image, recipe: Recipe) -> None:
    trajectory = fit(task(small, recipe, 30))
    assert [point.iteration for point in trajectory] == [10, 20, 30]
    assert trajectory[-1].psnr > trajectory[0].psnr
    assert trajectory[-1].loss < trajectory[0].loss
    assert (trajectory.iteration_chosen, trajectory.iterations_run) == (30, 30)
    assert "30 iterations" in trajectory.reason
    assert trajectory.restored.shape == trajectory.target.shape
    assert trajectory.restored.min() >= 0
    assert trajectory.restored.max() <= 1
    assert list(trajectory.outputs) == [2], "only the chosen image is kept"


def test_every_output_is_kept_when_asked(small: Image.Image) -> None:
    trajectory = fit(task(small, keep_outputs=True))
    assert list(trajectory.outputs) == [0, 1, 2]


def test_the_last_iteration_is_a_checkpoint_whatever_the_spacing(small: Image.Image) -> None:
    assert [point.iteration for point in fit(task(small, iterations=13))] == [10, 13]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_same_seed_same_bits_and_other_seed_other_image(small: Image.Image, recipe: Recipe) -> None:
    first, again, other = (fit(task(small, recipe, 5, seed=seed)) for seed in (5, 5, 6))
    assert torch.equal(first.restored, again.restored)
    assert not torch.equal(first.restored, other.restored)


def test_a_blow_up_goes_back_to_the_last_good_state(small: Image.Image) -> None:
    """A learning rate far too large destroys the fit at once; the result is still an image."""
    wild = Recipe(generator="fast", learning_rate=30.0, checkpoint_every=5)
    trajectory = fit(task(small, wild, 120, keep_outputs=True))
    assert trajectory.rollbacks > 0
    assert torch.isfinite(trajectory.restored).all()
    assert trajectory.checkpoints[trajectory.chosen].psnr > 15, "garbage was returned"


def test_a_fit_that_never_works_says_so(small: Image.Image) -> None:
    with pytest.raises(FitError, match="smaller learning rate"):
        fit(task(small, Recipe(generator="fast", learning_rate=1e30, checkpoint_every=1000), 40))


def test_a_fit_cut_off_while_lost_gives_the_state_before(small: Image.Image) -> None:
    trajectory = fit(task(small, Recipe(generator="fast", learning_rate=1e30), 1))
    assert trajectory.reason == "diverged at iteration 1, went back to the last good state"
    assert (trajectory.iteration_chosen, trajectory.rollbacks) == (0, 1)
    assert trajectory[0].psnr > 15


def test_a_host_with_autocast_or_inference_mode_changes_nothing(small: Image.Image) -> None:
    alone = fit(task(small, iterations=5)).restored
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        hosted = fit(task(small, iterations=5)).restored
    assert torch.equal(alone, hosted)


class EndsAtBest(StopRule):
    """Goes on to the limit, takes the second checkpoint."""

    name = "second"
    max_iterations = 50

    def decide(self, trajectory: Trajectory) -> Decision:
        return Decision(stop=False, select=min(1, len(trajectory) - 1), reason="the second")


def test_a_rule_may_take_an_earlier_checkpoint(small: Image.Image) -> None:
    trajectory = fit(task(small, rule=EndsAtBest()))
    assert (trajectory.iteration_chosen, trajectory.iterations_run, trajectory.reason) == (20, 50, "the second")
    assert torch.equal(trajectory.restored, fit(task(small, iterations=20)).restored)


class Regretful(StopRule):
    """Wants a checkpoint back that it did not take while it was the newest."""

    name = "regretful"
    max_iterations = 50

    def decide(self, trajectory: Trajectory) -> Decision:
        newest = len(trajectory) - 1
        return Decision(stop=newest == 3, select=0 if newest == 3 else newest, reason="regret")


def test_a_rule_that_wants_a_lost_image_is_told_so(small: Image.Image) -> None:
    with pytest.raises(OptionError, match="takes checkpoint 0, whose image is no longer kept"):
        fit(task(small, rule=Regretful()))


def test_thread_counts_are_left_alone_everywhere(small: Image.Image) -> None:
    """Also those of the host's other threads, ones that first use PyTorch while fits are running included."""
    before = torch.get_num_threads()
    seen: list[int] = []

    def look(_: Progress) -> None:
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    list(fit_all([task(small)] * 3, images_total=3, progress=look))
    assert set(seen) == {before}
    assert torch.get_num_threads() == before


def test_calls_from_several_threads_do_not_disturb_each_other(small: Image.Image) -> None:
    alone = {name: fit_now(small, recipe) for name, recipe in RECIPES.items()}
    together: dict[str, torch.Tensor] = {}

    def work(name: str) -> None:
        together[name] = fit_now(small, RECIPES[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in RECIPES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(alone[name], together[name]) for name in RECIPES)


def fit_now(image: Image.Image, recipe: Recipe) -> torch.Tensor:
    return next(iter(fit_all([task(image, recipe, 4)], images_total=1))).restored


def test_time_left_is_never_more_than_the_budget(small: Image.Image) -> None:
    seen: list[Progress] = []
    list(fit_all([task(small, iterations=1_000_000)], images_total=1, seconds=1.0, progress=seen.append))
    assert seen
    assert all(step.seconds_left is not None and step.seconds_left <= 1.0 for step in seen)


def test_a_time_budget_ends_the_fit_with_what_it_has(small: Image.Image) -> None:
    trajectory = fit(task(small, iterations=1_000_000), seconds=0.3)
    assert 0 < trajectory.iterations_run < 1_000_000
    assert trajectory.reason.startswith("time budget of 0.3 s spent at iteration")
    assert trajectory.restored.shape == trajectory.target.shape


def test_a_budget_is_shared_by_all_images(small: Image.Image) -> None:
    done = list(fit_all([task(small, iterations=1_000_000)] * 6, images_total=6, seconds=2.0))
    assert len(done) == 6
    assert all(trajectory.iterations_run > 0 and "time budget" in trajectory.reason for trajectory in done)


def test_progress_is_told_in_the_callers_thread_and_ends_at_all(small: Image.Image) -> None:
    seen: list[Progress] = []
    threads: set[int] = set()

    def note(progress: Progress) -> None:
        seen.append(progress)
        threads.add(threading.get_ident())

    list(fit_all([task(small)] * 3, images_total=3, progress=note))
    assert threads == {threading.get_ident()}
    assert (seen[-1].images_done, seen[-1].images_total, seen[-1].fraction) == (3, 3, 1.0)
    assert seen[-1].seconds_left == 0
    assert [step.fraction for step in seen] == sorted(step.fraction for step in seen)


def test_cancelling_ends_running_fits(small: Image.Image) -> None:
    cancelled = threading.Event()

    def cancel_soon(progress: Progress) -> None:
        if progress.iteration >= 10:
            cancelled.set()

    fits = fit_all(
        [task(small, iterations=1_000_000)] * 3, images_total=3, progress=cancel_soon, is_cancelled=cancelled.is_set
    )
    with pytest.raises(CancelledError, match="cancelled at iteration"):
        list(fits)


def test_an_exception_in_the_callback_ends_running_fits(small: Image.Image) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(fit_all([task(small, iterations=1_000_000)] * 3, images_total=3, progress=interrupt))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("deep-protection")]


def test_tasks_are_read_only_a_little_ahead(small: Image.Image) -> None:
    read = 0

    def tasks() -> Iterator[FitTask]:
        nonlocal read
        for _ in range(20):
            read += 1
            yield task(small, iterations=2)

    fits = fit_all(tasks(), images_total=20, workers=2)
    next(fits)
    assert read <= 5
    fits.close()  # type: ignore[attr-defined]


def test_the_average_is_debiased() -> None:
    average = OutputEMA(torch.zeros(2, 1), 0.9)
    average.reset(0)
    for value in (1.0, 1.0, 1.0):
        average.add(torch.tensor([[value], [0.0]]))
    assert torch.allclose(average.value(0), torch.tensor([1.0]))
    average.add(torch.tensor([[2.0], [0.0]]))
    weights = torch.tensor([0.9**3, 0.9**2, 0.9, 1.0])
    expected = (weights * torch.tensor([1.0, 1.0, 1.0, 2.0])).sum() / weights.sum()
    assert torch.allclose(average.value(0), expected)


def test_hubers_loss_shrugs_off_single_wild_pixels(photograph: Image.Image) -> None:
    clean = as_image(photograph.resize((64, 64))).pixels
    wild = clean.clone()
    wild[:, ::9, ::7] = 1 - wild[:, ::9, ::7].round()
    distances = {}
    for huber in (None, 0.05):
        recipe = Recipe(generator="fast", ema_decay=0.95, huber_delta=huber)
        restored = fit(FitTask(target=wild, recipe=recipe, rule=Fixed(150), seed=0)).restored
        distances[huber] = psnr(restored, clean)
    assert distances[0.05] > distances[None] + 1


def test_detail_comes_back_from_the_image_but_no_perturbation_and_no_damaged_pixel() -> None:
    detail, drawn = Detail(low=0.1, high=0.6), torch.full((3, 6, 7), 0.5)
    drawn[:, 4] = 0.2
    image = drawn.clone()
    image[:, 0] += 0.1  # as large as a perturbation
    image[:, 1] += 0.3  # an edge not drawn yet
    image[1, 2] -= 0.3  # a coloured one
    image[:, 3] = 0.0  # between detail and damage
    image[:, 4] = 1.0  # damage
    back = detail.restore_detail(drawn, image)
    assert torch.equal(back[:, 0], drawn[:, 0])
    assert torch.allclose(back[:, 1], torch.tensor(0.7))
    assert torch.allclose(back[:, 2, 0], torch.tensor([0.5, 0.3, 0.5]))
    assert torch.allclose(back[:, 3], torch.tensor(0.3))
    assert torch.equal(back[:, 4:], drawn[:, 4:])


def test_detail_changes_outputs_and_not_the_fit(photograph: Image.Image) -> None:
    target = as_image(photograph.resize((64, 48))).pixels
    plain, detailed = (
        fit(FitTask(target=target, recipe=Recipe(generator="fast", detail=detail), rule=Fixed(25), seed=3))
        for detail in (None, Detail(low=0.02, high=10.0))
    )
    assert torch.equal(detailed.restored, Detail(low=0.02, high=10.0).restore_detail(plain.restored, target))
    assert (detailed.restored - target).abs().max() <= 0.0201
    assert detailed[-1].psnr > plain[-1].psnr
    assert detailed[-1].loss == plain[-1].loss


@pytest.mark.parametrize(("above", "below"), [(-0.1, 0.5), (0.5, 0.5), (0.6, 0.5)])
def test_a_band_of_detail_that_holds_nothing_is_refused(above: float, below: float) -> None:
    with pytest.raises(OptionError, match="low < high"):
        Detail(low=above, high=below)


def test_every_row_of_adam_is_pytorchs_adam() -> None:
    """Also a row that begins later and one with another learning rate."""
    random = torch.Generator().manual_seed(0)
    start = torch.randn(3, 40, generator=random)
    gradients = torch.randn(12, 3, 40, generator=random)
    rows = start.clone()
    ours = Adam(rows, 0.01)
    ours.reset(2, 0.03)
    for number, gradient in enumerate(gradients):
        if number == 5:
            rows[1] = start[1]
            ours.reset(1, 0.01)
        ours.step(rows, gradient)
    for row, rate, first in ((0, 0.01, 0), (1, 0.01, 5), (2, 0.03, 0)):
        weights = start[row].clone().requires_grad_()
        theirs = torch.optim.Adam([weights], lr=rate)
        for gradient in gradients[first:]:
            weights.grad = gradient[row].clone()
            theirs.step()
        assert torch.allclose(rows[row], weights.detach(), atol=1e-6)


def different(image: Image.Image) -> list[Image.Image]:
    """Five images of one size that differ as much as photographs do."""
    turned = [image, image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), ImageOps.invert(image)]
    return [*turned, ImageOps.solarize(image), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]


@pytest.mark.parametrize("name", ["fast", "fast-bfloat16"])
def test_a_stack_gives_what_single_fits_give(small: Image.Image, name: str) -> None:
    """Images that end early make room for others, and come back in the order they were given in.

    Not `paper`: its smallest maps are 2×2 here, and a few iterations of it make mountains of rounding.
    """
    recipe, lengths = RECIPES[name], (12, 3, 7, 5, 9)
    tasks = [
        task(image, recipe, count, seed=number)
        for number, (image, count) in enumerate(zip(different(small), lengths, strict=True))
    ]
    together = list(fit_all(tasks, images_total=len(tasks), stack=2))
    assert [trajectory.iterations_run for trajectory in together] == list(lengths)
    for one, alone in zip(together, (fit(single) for single in tasks), strict=True):
        assert abs(one[-1].psnr - alone[-1].psnr) < 0.5
        assert psnr(one.restored, alone.restored) > 25
        assert [point.iteration for point in one] == [point.iteration for point in alone]


def test_a_stack_reads_only_a_little_ahead_of_a_slow_image(small: Image.Image) -> None:
    read = 0

    def tasks() -> Iterator[FitTask]:
        nonlocal read
        for number in range(20):
            read += 1
            yield task(small, iterations=2 if number else 40)

    done = fit_all(tasks(), images_total=20, stack=2)
    assert next(done).iterations_run == 40
    assert read <= 6
    assert [trajectory.iterations_run for trajectory in done] == [2] * 19


def test_a_stack_keeps_to_its_budget_and_can_be_cancelled(small: Image.Image) -> None:
    tasks = [task(small, iterations=1_000_000)] * 3
    done = list(fit_all(tasks, images_total=3, stack=2, seconds=1.0))
    assert all("time budget" in trajectory.reason for trajectory in done)
    assert all(0 < trajectory.iterations_run < 1_000_000 for trajectory in done)
    with pytest.raises(CancelledError):
        list(fit_all(tasks, images_total=3, stack=2, is_cancelled=lambda: True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_cpu_gives(small: Image.Image) -> None:
    tasks = [task(small, seed=number) for number in range(5)]
    on_gpu = [task(small, seed=number, device=torch.device("cuda")) for number in range(5)]
    for cpu, gpu in zip(fit_all(tasks, images_total=5), fit_all(on_gpu, images_total=5), strict=True):
        assert abs(cpu[-1].psnr - gpu[-1].psnr) < 0.5


def test_a_stack_takes_images_of_several_sizes_in_turn(small: Image.Image) -> None:
    sizes = [(40, 30), (40, 30), (24, 36), (40, 30)]
    tasks = [task(small.resize(size), iterations=4) for size in sizes]
    seen: list[Progress] = []
    done = list(fit_all(tasks, images_total=4, stack=8, progress=seen.append))
    assert [tuple(trajectory.restored.shape) for trajectory in done] == [(3, height, width) for width, height in sizes]
    assert (seen[-1].images_done, seen[-1].fraction) == (4, 1.0)


@pytest.mark.parametrize("large_first", [True, False])
def test_a_stack_is_as_wide_as_its_own_images_allow(
    small: Image.Image, large_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as the first of all allows: the large ones after it would not fit, or the small ones be fitted one by one."""
    widths: list[tuple[int, int]] = []

    class Noted(BatchedFit):
        def __init__(self, seats: list[FitRequest], **more: Any) -> None:
            widths.append((seats[0].task.target.shape[-1], len(seats)))
            super().__init__(seats, **more)

    monkeypatch.setattr("deep_protection.fitting.scheduler.BatchedFit", Noted)
    groups = [[(40, 32)] * 5, [(20, 16)] * 5]
    sizes = [size for group in (groups if large_first else groups[::-1]) for size in group]
    tasks = [task(small.resize(size), iterations=3) for size in sizes]
    seats = (FitRequest(number, each) for number, each in enumerate(tasks))

    def places(one: FitTask) -> int:
        return 2 * 40 * 32 // (one.target.shape[-1] * one.target.shape[-2])

    ended = dict(fit_batched(seats, places))
    assert sorted(ended) == list(range(10))
    assert sorted(widths) == [(20, 5), (40, 2)]


def test_a_budget_is_shared_by_how_many_fit_at_a_time() -> None:
    budget = _Budget(12.0, 9)
    assert budget.take(1.0, 1) == pytest.approx(12 / 9, rel=0.01)
    assert budget.take(1.0, 4) == pytest.approx(12 / 2, rel=0.01)
    assert budget.take(1.0, 8) == pytest.approx(12, rel=0.01)


@pytest.mark.parametrize("name", ["fast", "fast-bfloat16"])
def test_an_image_that_goes_back_does_not_touch_its_neighbours(small: Image.Image, name: str) -> None:
    tasks = [task(image, RECIPES[name], 14, seed=number) for number, image in enumerate(different(small)[:3])]
    stack = BatchedFit([FitRequest(number, each) for number, each in enumerate(tasks)])
    ended: dict[int, Trajectory] = {}
    for iteration in range(15):
        if iteration == 12:
            stack._networks.matrix[1] = float("nan")
        ended |= {number: result_or_raise(outcome) for number, outcome in stack.advance()}
    assert [ended[number].rollbacks for number in range(3)] == [0, 1, 0]
    assert torch.isfinite(ended[1].restored).all()
    for number in (0, 2):
        assert psnr(ended[number].restored, fit(tasks[number]).restored) > 25


def test_an_image_that_cannot_be_fitted_does_not_take_the_others_with_it(small: Image.Image) -> None:
    tasks = [task(small, iterations=limit, seed=limit) for limit in (12, 3, 12)]
    tasks[1].target = torch.full_like(tasks[1].target, float("nan"))
    done = fit_all(tasks, images_total=3, stack=3)
    assert next(done)[-1].psnr > 15
    with pytest.raises(FitError, match="diverged from the start"):
        next(done)


@pytest.mark.parametrize(
    "wrong",
    [
        {"generator": "nonsense"},
        {"learning_rate": 0.0},
        {"ema_decay": 1.0},
        {"huber_delta": 0.0},
        {"checkpoint_every": 0},
    ],
    ids=str,
)
def test_a_recipe_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        Recipe(**({"generator": "fast"} | wrong))  # type: ignore[arg-type]


def test_fresh_noise_is_new_at_every_iteration_and_an_images_own(small: Image.Image) -> None:
    """Whoever sits beside it, in whatever order its maps lie in memory."""
    target = as_image(small).pixels

    def networks(seeds: list[int]) -> Networks:
        generator = GENERATORS["interpolating"](*target.shape[-2:])
        made = Networks(generator, len(seeds), torch.float32, torch.device("cpu"))
        for row, seed in enumerate(seeds):
            made.init_row(row, target, seed)
        return made

    together, alone = networks([1, 2]), networks([2])
    seen = [(together.next_inputs()[1], alone.next_inputs()[0]) for _ in range(2)]
    together.select_rows([1])
    seen.append((together.next_inputs()[0], alone.next_inputs()[0]))
    assert all(torch.equal(one, other) for one, other in seen)
    fixed = sum(one for one, _ in seen) / 3
    assert all((one - fixed).std() > 0.01 for one, _ in seen), "no two iterations see the same"
    assert abs(float((seen[0][0] - seen[1][0]).std()) / 2**0.5 - 0.03) < 0.003
