"""The closed form and the waves as lesson 4.18 writes them by hand, against independent code."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from lessons import cell_source

LESSON = "day4_glmm/18_gaussian_processes.ipynb"
DATA = pd.DataFrame(
    {"time_ms": [2.0, 7.5, 7.5, 11.0, 30.0], "acceleration_g": [1.0, -20, 5, 40, -3]}
)
NEW = np.array([0.0, 7.5, 9.0, 29.0, 55.0])
SETTING = {"length_scale": 4.0, "amplitude": 30.0, "sigma": 9.0}


def definitions(*cells):
    """What the functions of these cells of the lesson are, and nothing else of the cells."""
    found = {"np": np}
    for cell in cells:
        parts = cell_source(LESSON, cell).split("\n\n\n")
        exec("\n\n\n".join(part for part in parts if part.startswith("def ")), found)
    return found


def by_weights(y, x, new, length_scale, amplitude, sigma):
    """The same posterior from the precision matrix of the values at all times together."""
    times = np.concatenate([x, new])
    prior = amplitude**2 * np.exp(
        -((times[:, None] - times) ** 2) / 2 / length_scale**2
    )
    precision = np.linalg.inv(prior + 1e-9 * np.eye(len(times)))
    measured = np.zeros(len(times))
    measured[: len(x)] = 1 / sigma**2
    covariance = np.linalg.inv(precision + np.diag(measured))
    mean = covariance[:, : len(x)] @ y / sigma**2
    return mean[len(x) :], covariance[len(x) :, len(x) :]


def test_closed_form_agrees_with_the_precision_matrix():
    first = DATA.drop_duplicates("time_ms")  # a precision needs different times
    x, y = first["time_ms"].to_numpy(), first["acceleration_g"].to_numpy()
    new = NEW + 0.3
    ours = definitions("kernel", "closed")["closed_form"](first, new, **SETTING)
    for own, other in zip(ours, by_weights(y, x, new, **SETTING)):
        assert own == pytest.approx(other, abs=1e-4)


def test_closed_form_with_two_measurements_at_one_time():
    """Two measurements count as one, their mean, with half the variance."""
    closed_form = definitions("kernel", "closed")["closed_form"]
    pair = DATA.iloc[[1, 2]]
    mean = pair.iloc[[0]].assign(acceleration_g=pair["acceleration_g"].mean())
    half = SETTING | {"sigma": SETTING["sigma"] / np.sqrt(2)}
    for own, other in zip(
        closed_form(pair, NEW, **SETTING), closed_form(mean, NEW, **half)
    ):
        assert own == pytest.approx(other, abs=1e-8)


def test_waves_are_those_of_pymc():
    waves = definitions("waves")["waves"]
    x = np.array([2.4, 20.0, 41.0, 57.6])
    gp = pm.gp.HSGP(m=[7], L=[50.0], cov_func=30.0**2 * pm.gp.cov.ExpQuad(1, ls=5.0))
    phi, sd = gp.prior_linearized(x[:, None])
    ours, frequency = waves(x, 7, 50)
    assert ours == pytest.approx(phi.eval(), abs=1e-10)
    density = 30**2 * np.sqrt(2 * np.pi) * 5 * np.exp(-0.5 * (5 * frequency) ** 2)
    assert np.sqrt(density) == pytest.approx(sd.eval(), rel=1e-6)
