from __future__ import annotations

import numpy as np

from omniview.training.prompts import (
    BOX,
    NEGATIVE,
    POSITIVE,
    PRIOR,
    add_clicks,
    no_prompt,
    random_box,
    random_clicks,
    random_prior,
    worst_point,
)


def square(size: int = 64) -> np.ndarray:
    """A square structure off the centre."""
    mask = np.zeros((size, size), bool)
    mask[20:40, 24:44] = True
    return mask


def test_a_click_is_a_disc_around_its_point() -> None:
    """It is 1 at the point, falls off, and touches no other map."""
    prompts = no_prompt(64)
    add_clicks(prompts, POSITIVE, [(10, 50)])
    assert prompts[POSITIVE, 10, 50] == 1
    assert 0 < prompts[POSITIVE, 10, 45] < 1
    assert not prompts[[NEGATIVE, BOX, PRIOR]].any()


def test_the_next_click_lies_deep_in_the_largest_error() -> None:
    """A missed square is clicked in its middle, a false one negatively, a right answer not at all."""
    nothing = np.zeros((64, 64), bool)
    kind, (y, x) = worst_point(nothing, square()) or (None, (0, 0))
    assert kind == POSITIVE
    assert abs(y - 30) <= 1
    assert abs(x - 34) <= 1
    assert (worst_point(square(), nothing) or (None,))[0] == NEGATIVE
    assert worst_point(square(), square()) is None


def test_clicks_fall_on_errors_only() -> None:
    """Positive clicks lie in what is missing, negative ones in what is too much."""
    truth, found = square(), np.roll(square(), 10, axis=1)
    for seed in range(10):
        prompts = no_prompt(64)
        random_clicks(np.random.default_rng(seed), prompts, found, truth, 4)
        assert not (prompts[POSITIVE] == 1)[~(truth & ~found)].any()
        assert not (prompts[NEGATIVE] == 1)[~(found & ~truth)].any()
    prompts = no_prompt(64)
    random_clicks(np.random.default_rng(0), prompts, truth, truth, 4)
    assert not prompts.any()


def test_a_box_hugs_the_structure_loosely() -> None:
    """Each side is off by a tenth at most; an empty truth has no box."""
    for seed in range(10):
        prompts = no_prompt(64)
        random_box(np.random.default_rng(seed), prompts, square())
        assert prompts[BOX, 22:38, 26:42].all()
        assert not prompts[BOX, :18].any()
    prompts = no_prompt(64)
    random_box(np.random.default_rng(0), prompts, np.zeros((64, 64), bool))
    assert not prompts.any()


def test_a_prior_is_like_the_truth_but_not_the_truth() -> None:
    """It is a probability map that overlaps the structure."""
    for seed in range(10):
        prompts = no_prompt(64)
        random_prior(np.random.default_rng(seed), prompts, square())
        prior = prompts[PRIOR]
        assert prior.min() >= 0
        assert prior.max() <= 1 + 1e-6
        assert prior[square()].mean() > 0.4
        assert not np.array_equal(prior > 0.5, square())
