"""Corruptions: the same for the same rows, mild, and only for rows whose kind is known."""

from __future__ import annotations

import numpy as np
import pytest

from harness.corruption import BLUR_SHARE, MOST_ROWS, corrupt, corruptions_of, rows_to_corrupt

PICTURES = np.random.default_rng(0).normal(0.2, 1.3, (6, 3, 28, 28)).astype(np.float32)
WINDOWS = np.random.default_rng(1).normal(0, 1, (6, 6, 1, 100)).astype(np.float32)
EVERY = [("images", name) for name in corruptions_of("images")] + [("sensors", n) for n in corruptions_of("sensors")]


def rows(kind):
    return PICTURES if kind == "images" else WINDOWS


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_corruption_changes_the_rows_keeps_their_form_and_leaves_the_given_ones(kind, name):
    given = rows(kind)
    before = given.copy()
    found = corrupt(given, kind, name)
    assert found.shape == given.shape
    assert found.dtype == given.dtype
    assert np.isfinite(found).all()
    assert not np.array_equal(found, given)
    assert np.array_equal(given, before)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_same_rows_are_corrupted_alike_every_time(kind, name):
    assert np.array_equal(corrupt(rows(kind), kind, name), corrupt(rows(kind), kind, name))


def test_rows_of_which_nobody_knows_what_they_are_have_no_corruption():
    assert corruptions_of("") == ()
    assert corruptions_of("text") == ()


def test_a_blur_keeps_the_mean_and_takes_away_spread():
    blurred = corrupt(PICTURES, "images", "blur")
    assert blurred.mean() == pytest.approx(PICTURES.mean(), abs=0.02)
    assert blurred.std() < 0.6 * PICTURES.std()
    assert BLUR_SHARE * 224 == 2


def test_a_flat_picture_stays_flat_under_blur_contrast_and_shift():
    flat = np.full((2, 1, 9, 9), 0.7, np.float32)
    for name in ("blur", "contrast", "shift"):
        assert corrupt(flat, "images", name) == pytest.approx(flat)


def test_a_shift_moves_pixels_to_the_right_and_down():
    picture = np.zeros((1, 1, 28, 28), np.float32)
    picture[0, 0, 10, 10] = 1
    assert corrupt(picture, "images", "shift")[0, 0, 12, 12] == 1


def test_a_lost_channel_is_zero_throughout_and_every_other_is_kept():
    dropped = corrupt(WINDOWS, "sensors", "channel-dropout")
    lost = (dropped == 0).all(axis=(2, 3))
    assert (lost.sum(axis=1) == 1).all()
    assert np.array_equal(dropped[~lost], WINDOWS[~lost])


@pytest.mark.parametrize("n", [1, 7, MOST_ROWS, 10 * MOST_ROWS + 3])
def test_corrupted_rows_are_spread_over_the_split_and_never_too_many(n):
    chosen = rows_to_corrupt(n)
    assert len(chosen) == min(n, MOST_ROWS)
    assert chosen[0] == 0
    assert chosen[-1] == n - 1
    assert (np.diff(chosen) > 0).all()
