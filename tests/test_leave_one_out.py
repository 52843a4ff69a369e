"""Leave-one-out as the lessons use it: ArviZ against brute force where everything has a formula."""

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

SIGMA, PRIOR_SD, BETWEEN = 1.0, 3.0, 1.5
FIXED = [-16.809146, 1.622138, 0.845898]  # elpd, standard error, p


@pytest.fixture
def values():
    return np.random.default_rng(5).normal(1, SIGMA, size=12)


def posterior_of_the_mean(values):
    precision = 1 / PRIOR_SD**2 + len(values) / SIGMA**2
    return values.sum() / SIGMA**2 / precision, np.sqrt(1 / precision)


def tree(mean, log_likelihood, name="unit"):
    shape = (4, -1)
    coords = {"chain": range(4), "draw": range(len(mean) // 4)}
    units = range(log_likelihood.shape[1])
    densities = xr.DataArray(
        log_likelihood.reshape(*shape, len(units)),
        dims=["chain", "draw", name],
        coords=coords | {name: units},
    )
    draws = xr.DataArray(mean.reshape(shape), dims=["chain", "draw"], coords=coords)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"mean": draws}),
            "log_likelihood": xr.Dataset({"y": densities}),
        }
    )


def test_loo_agrees_with_leaving_out_each_value(values):
    centre, sd = posterior_of_the_mean(values)
    mean = np.random.default_rng(1).normal(centre, sd, size=8000)
    log_likelihood = stats.norm.logpdf(values, mean[:, None], SIGMA)
    found = az.loo(tree(mean, log_likelihood), pointwise=True)
    assert found.pareto_k.max() < found.good_k
    exact = []
    for i, value in enumerate(values):
        centre, sd = posterior_of_the_mean(np.delete(values, i))
        exact.append(stats.norm.logpdf(value, centre, np.hypot(sd, SIGMA)))
    assert found.elpd_i.to_numpy() == pytest.approx(exact, abs=0.02)
    assert found.elpd == pytest.approx(sum(exact), abs=0.03)


def test_loo_of_groups_agrees_with_leaving_out_each_group():
    """The joint density of a group's values, with the group's effect integrated out."""
    rng = np.random.default_rng(7)
    groups, size = 15, 4
    effects = rng.normal(1, BETWEEN, size=(groups, 1))
    values = rng.normal(effects, SIGMA, size=(groups, size))
    within = SIGMA**2 * np.eye(size) + BETWEEN**2  # covariance of a group's values

    def posterior(means):  # of the overall mean; a group's mean is enough
        variance = BETWEEN**2 + SIGMA**2 / size
        precision = 1 / PRIOR_SD**2 + len(means) / variance
        return means.sum() / variance / precision, 1 / precision

    centre, variance = posterior(values.mean(axis=1))
    mean = rng.normal(centre, np.sqrt(variance), size=8000)
    joint = np.column_stack(
        [
            stats.multivariate_normal.logpdf(group - mean[:, None], cov=within)
            for group in values
        ]
    )
    found = az.loo(tree(mean, joint, "group"), pointwise=True)
    exact = []
    for j, group in enumerate(values):
        centre, variance = posterior(np.delete(values, j, axis=0).mean(axis=1))
        predicted = stats.multivariate_normal(np.full(size, centre), within + variance)
        exact.append(predicted.logpdf(group))
    assert found.pareto_k.max() < found.good_k
    assert found.elpd_i.to_numpy() == pytest.approx(exact, abs=0.03)
    # the weights that left a group out give the density of one of its values, too
    weights = np.exp(found.log_weights)
    one = stats.norm.pdf(values[0, 0], mean, np.hypot(BETWEEN, SIGMA)).reshape(4, -1)
    one = xr.DataArray(
        one, dims=["chain", "draw"], coords=weights.drop_vars("group").coords
    )
    ours = np.log(one.weighted(weights.sel(group=0, drop=True)).mean()).item()
    centre, variance = posterior(values[1:].mean(axis=1))
    sd = np.sqrt(variance + BETWEEN**2 + SIGMA**2)
    assert ours == pytest.approx(stats.norm.logpdf(values[0, 0], centre, sd), abs=0.02)


def test_loo_of_a_fixed_matrix_recurs(values):
    """No seed is in it, so the numbers stay to the last digit that matters."""
    centre, sd = posterior_of_the_mean(values)
    mean = stats.norm.ppf((np.arange(2000) + 0.5) / 2000, centre, sd)
    log_likelihood = stats.norm.logpdf(values, mean[:, None], SIGMA)
    first, second = (
        az.loo(tree(mean, log_likelihood), pointwise=True, reff=1.0) for _ in range(2)
    )
    assert first.elpd_i.equals(second.elpd_i)
    assert first.pareto_k.equals(second.pareto_k)
    assert [first.elpd, first.se, first.p] == pytest.approx(FIXED, abs=1e-6)


@pytest.mark.parametrize("tau", [0.3, 0.95, 1.3])
@pytest.mark.parametrize("counts", [[5, 3, 3, 3], [18, 24, 76, 25], [0, 0, 0, 0]])
def test_61_values_of_a_group_effect_are_enough(counts, tau):
    """The average over u of lesson 4.9 against adaptive quadrature."""
    alpha, rate = 6.5, 8.0

    def likelihood(u):
        p = alpha / (alpha + rate * np.exp(u))
        return stats.nbinom.pmf(counts, alpha, p).prod()

    steps = np.linspace(-6, 6, 61)
    shares = stats.norm.pdf(steps) / stats.norm.pdf(steps).sum()
    grid = sum(s * likelihood(tau * step) for step, s in zip(steps, shares))
    exact = integrate.quad(
        lambda u: likelihood(u) * stats.norm.pdf(u, 0, tau) * 1e6,
        -8 * tau,
        8 * tau,
        points=[0, tau, 2 * tau],
        limit=200,
    )[0]
    assert np.log(grid) == pytest.approx(np.log(exact / 1e6), abs=0.005)
