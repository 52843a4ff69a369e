"""EM and Gibbs as lessons of day 5 write them, against an optimiser and an exact posterior."""

from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import pytest
from lessons import ROOT, cell_source
from scipy import optimize, special, stats

NORMALS = "day5_mixtures/01_finite_mixtures.ipynb"
CLASSES = "day5_mixtures/03_latent_classes.ipynb"
# minutes: every allocation can be summed
FEW = np.array([52.0, 58.0, 61.0, 75.0, 83.0])
DRAWS = 30_000


def source(cell, lesson=NORMALS):
    return cell_source(lesson, cell)


def function(name, code):
    found = {"np": np, "stats": stats}
    exec(code, found)
    return found[name]


def log_likelihood(theta, y):
    """Of the share of component 2 (logit), two means, two log sds."""
    share, mu, sigma = special.expit(theta[0]), theta[1:3], np.exp(theta[3:])
    parts = [1 - share, share] * stats.norm.pdf(y[:, None], mu, sigma)
    return np.log(parts.sum(axis=1)).sum()


@cache
def best_of_waits():
    """The waits, and the maximum of the log-likelihood."""
    y = pd.read_csv(ROOT / "data/faithful.csv")["wait"].to_numpy()
    best = optimize.minimize(
        lambda theta: -log_likelihood(theta, y), [0.5, 55, 80, 1.8, 1.8], tol=1e-10
    )
    return y, -best.fun


def em_ends(code):
    """How far EM on the waits ends below the maximum, and the largest fall in a step."""
    y, best = best_of_waits()
    path = function("em", code)(y, [0.3, 0.7], [45, 90], [10, 12], n_steps=200)[3]
    return best - path[-1], -np.diff(path).min()


def test_em_climbs_to_the_maximum():
    below, fall = em_ends(source("em"))
    assert abs(below) < 1e-6
    assert fall < 1e-9


@pytest.mark.parametrize(
    ("term", "altered"),
    [
        ("responsibility.mean()", "0.5"),
        ("np.average(y, weights=responsibility)", "np.average(y, weights=weighted[k])"),
        ("(y - mu[k]) ** 2", "(y - y.mean()) ** 2"),
    ],
)
def test_an_altered_em_is_found(term, altered):
    assert source("em").count(term) == 1
    below, fall = em_ends(source("em").replace(term, altered))
    assert below > 1e-3 or fall > 1e-3


@cache
def exact():
    """Posterior means, summed over all allocations of FEW, under the priors of the lesson.

    Of what does not depend on labels: the product of the shares, the mean of the mixture,
    its mean sd, and the product of the two means.
    """
    variances = np.geomspace(1, 1e5, 4000)
    prior = stats.invgamma.pdf(variances, 3, scale=150)
    total, sums = 0, np.zeros(4)
    for labels in product([False, True], repeat=len(FEW)):
        second = np.array(labels)
        n = np.array([(~second).sum(), second.sum()])
        a, b = 2 + n[1], 2 + n[0]  # of the beta distribution of share 2
        weight, means, sds = special.beta(a, b), [], []
        for own in (FEW[~second], FEW[second]):
            # own ~ Normal(70, 20^2 between all + variance), jointly; mu given the variance
            precision = 1 / 20**2 + len(own) / variances
            centre = (70 / 20**2 + own.sum() / variances) / precision
            squares = (own**2).sum() / variances + 70**2 / 20**2 - precision * centre**2
            density = (
                variances ** (-len(own) / 2) / np.sqrt(precision) * np.exp(-squares / 2)
            )
            joint = prior * density
            mass = np.trapezoid(joint, variances)
            weight *= mass
            means.append(np.trapezoid(joint * centre, variances) / mass)
            sds.append(np.trapezoid(joint * np.sqrt(variances), variances) / mass)
        shares = np.array([b, a]) / (a + b)
        product_of_shares = a * b / ((a + b) * (a + b + 1))
        found = [product_of_shares, shares @ means, shares @ sds, means[0] * means[1]]
        total, sums = total + weight, sums + weight * np.array(found)
    return sums / total


def worst(code):
    """The largest difference between a chain and the exact means, in Monte Carlo errors."""
    draws = function("gibbs", code)(FEW, DRAWS, np.random.default_rng(5))
    share, mu, sigma = draws[:, 0], draws[:, 1:3], draws[:, 3:]
    shares = np.column_stack([1 - share, share])
    found = [
        share * (1 - share),
        (shares * mu).sum(axis=1),
        (shares * sigma).sum(axis=1),
        mu[:, 0] * mu[:, 1],
    ]
    batches = np.reshape(found, (4, 30, -1)).mean(axis=2)
    errors = batches.std(axis=1, ddof=1) / np.sqrt(30)
    return np.abs((batches.mean(axis=1) - exact()) / errors).max()


def test_gibbs_agrees_with_the_sum_over_all_allocations():
    assert worst(source("gibbs")) < 4


@pytest.mark.parametrize(
    ("term", "altered"),
    [
        ("rng.random(len(y)) < second / (first + second)", "second > first"),
        ("2 + len(y) - n_second", "len(y) - n_second + 0.5"),
        ("precision = 1 / 20**2", "precision = 1 / 10**2"),
        ("centre, 1 / np.sqrt(precision)", "centre, 1 / precision"),
        ("3 + len(own) / 2", "3 + len(own)"),
        ("150 + squares / 2", "150 + squares"),
    ],
)
def test_an_altered_gibbs_is_found(term, altered):
    assert source("gibbs").count(term) == 1
    assert worst(source("gibbs").replace(term, altered)) > 6


def class_log_likelihood(theta, yes):
    """Of two latent classes: logits of the share of class 2 and of the rates."""
    share, rates = special.expit(theta[0]), special.expit(theta[1:].reshape(2, -1))
    parts = [np.where(yes == 1, rate, 1 - rate).prod(axis=1) for rate in rates]
    return np.log((1 - share) * parts[0] + share * parts[1]).sum()


@cache
def best_of_classes():
    """The slides of the pathologists A to D, and the maximum of the log-likelihood."""
    slides = pd.read_csv(ROOT / "data/carcinoma.csv", index_col="slide")
    yes = slides[["A", "B", "C", "D"]].to_numpy()
    start = np.array([0.0] + [-2.0] * 4 + [2.0] * 4)
    best = optimize.minimize(lambda theta: -class_log_likelihood(theta, yes), start)
    return yes, -best.fun


def class_em_ends(code):
    """How far EM for latent classes ends below the maximum, and its largest fall in a step."""
    yes, best = best_of_classes()
    path = function("em", code)(yes, 2, np.random.default_rng(5), n_steps=1000)[2]
    return best - path[-1], -np.diff(path).min()


def test_em_for_classes_climbs_to_the_maximum():
    below, fall = class_em_ends(source("em", CLASSES))
    assert abs(below) < 1e-3
    assert fall < 1e-9


@pytest.mark.parametrize(
    ("term", "altered"),
    [
        ("responsibility.mean()", "0.5"),
        ("share[k] * probability", "probability"),
        ("axis=0, weights=responsibility", "axis=0"),
    ],
)
def test_an_altered_em_for_classes_is_found(term, altered):
    code = source("em", CLASSES)
    assert code.count(term) == 1
    below, fall = class_em_ends(code.replace(term, altered))
    assert abs(below) > 0.01 or fall > 0.01
