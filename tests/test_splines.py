"""B-splines as lesson 4.17 writes them, against the libraries and another definition."""

import numpy as np
import pandas as pd
import pytest
from formulae import design_matrices
from lessons import cell_source
from scipy.interpolate import BSpline

LESSON = "day4_glmm/17_basis_functions.ipynb"
POINTS = np.random.default_rng(3).uniform(-2, 5, size=60).tolist()
INNER = [-1.0, 0.25, 0.5, 2.0, 2.75]


def source():
    return cell_source(LESSON, "recursion")


def basis(code, points, inner, degree=3):
    """The lesson's function on clamped knots: a row for each point, a column for each function."""
    found = {}
    exec(code, found)
    low, high = min(points), max(points)
    t = [low] * (degree + 1) + list(inner) + [high] * (degree + 1)
    functions = range(len(inner) + degree + 1)
    rows = [[found["b_spline"](k, degree, x, t) for k in functions] for x in points]
    return np.array(rows), np.array(t)


def divided_difference(t, x):
    """Of the truncated power (t - x)^3, over the five different knots t."""
    if len(t) == 1:
        return max(t[0] - x, 0.0) ** 3
    difference = divided_difference(t[1:], x) - divided_difference(t[:-1], x)
    return difference / (t[-1] - t[0])


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_by_hand_agrees_with_scipy(degree):
    by_hand, t = basis(source(), POINTS, INNER, degree)
    other = BSpline.design_matrix(np.array(POINTS), t, degree).toarray()
    assert np.abs(by_hand - other).max() < 1e-10


@pytest.mark.parametrize("term", ["df=12", "knots=INNER", "df=7, degree=2"])
def test_by_hand_agrees_with_formulae(term):
    frame = pd.DataFrame({"x": POINTS})
    columns = design_matrices(f"0 + bs(x, {term}, intercept=True)", frame).common
    other = np.asarray(columns)
    degree = 2 if "degree=2" in term else 3
    inner = INNER
    if "df" in term:
        shares = np.linspace(0, 1, other.shape[1] - degree + 1)[1:-1]
        inner = np.quantile(POINTS, shares)
    by_hand, _ = basis(source(), POINTS, inner, degree)
    assert by_hand.shape == other.shape
    assert np.abs(by_hand - other).max() < 1e-10


def test_by_hand_agrees_with_divided_differences():
    """The definition before there was a recursion, where no knot is repeated."""
    by_hand, t = basis(source(), POINTS, INNER)
    for k in range(3, len(t) - 7):
        part = t[k : k + 5]
        assert len(set(part)) == 5
        other = [(part[-1] - part[0]) * divided_difference(part, x) for x in POINTS]
        assert by_hand[:, k] == pytest.approx(other, abs=1e-10)


def test_functions_add_up_to_one_also_at_the_ends():
    by_hand, _ = basis(source(), POINTS, INNER)
    assert by_hand.sum(axis=1) == pytest.approx(np.ones(len(POINTS)), abs=1e-12)
    assert by_hand[np.argmin(POINTS), 0] == by_hand[np.argmax(POINTS), -1] == 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ramp = (x - t[k])", "ramp = (x - t[k + 1])"),
        ("b_spline(k + 1,", "b_spline(k,"),
        (" or at_end", ""),
    ],
)
def test_a_wrong_recursion_is_noticed(right, wrong):
    assert right in source()
    by_hand, t = basis(source().replace(right, wrong), POINTS, INNER)
    other = BSpline.design_matrix(np.array(POINTS), t, 3).toarray()
    assert np.abs(by_hand - other).max() > 1e-3
