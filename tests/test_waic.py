"""WAIC as lesson 4.10 computes it, against an implementation of its own on a fixed matrix."""

import math
import statistics

import numpy as np
import pytest
import xarray as xr
from lessons import cell_source
from scipy import special

LESSON = "day4_glmm/10_judging_models_deeper.ipynb"
OTHER = "day1_bayes/08_out_of_sample.ipynb"
# log-likelihoods: two chains of three draws, four observations
MATRIX = [
    [[-1.0, -2.0, -0.5, -7.0], [-1.2, -2.0, -0.7, -3.0], [-0.8, -2.0, -0.1, -9.5]],
    [[-1.1, -2.0, -0.4, -2.5], [-0.9, -2.0, -1.9, -6.0], [-1.3, -2.0, -0.6, -4.0]],
]


def function(lesson, cell, name):
    """The function of a lesson, from the code of its cell."""
    definition = cell_source(lesson, cell).split("\n\n\n")[0]
    found = {"np": np, "xr": xr, "special": special}
    exec(definition, found)
    return found[name]


def independent(draws):
    """WAIC of one observation in plain Python, with the variance from pairs of draws."""
    n = len(draws)
    largest = max(draws)
    mean = math.fsum(math.exp(x - largest) for x in draws) / n
    pairs = math.fsum((x - y) ** 2 for x in draws for y in draws)
    return largest + math.log(mean) - pairs / (2 * n * (n - 1))


@pytest.fixture
def waic():
    return function(LESSON, "waic", "waic")


def as_draws(matrix):
    return xr.DataArray(np.array(matrix), dims=["chain", "draw", "visit"])


def test_waic_of_a_fixed_matrix(waic):
    ours = waic(as_draws(MATRIX))
    columns = np.array(MATRIX).reshape(6, 4).T.tolist()
    assert ours.dims == ("visit",)
    assert ours.to_numpy() == pytest.approx([independent(x) for x in columns])
    _, p_waic, elpd = function(OTHER, "waic", "waic")(np.array(MATRIX).reshape(6, 4))
    assert ours.sum().item() == pytest.approx(elpd)
    assert p_waic == pytest.approx(sum(statistics.variance(x) for x in columns))


def test_waic_by_pencil(waic):
    """Two draws, 1/2 and 1/4: log(3/8) − (log 2)² / 2. A constant has no penalty."""
    ours = waic(as_draws([[[math.log(0.5), -2.0]], [[math.log(0.25), -2.0]]]))
    known = [math.log(3 / 8) - math.log(2) ** 2 / 2, -2.0]
    assert ours.to_numpy() == pytest.approx(known)
