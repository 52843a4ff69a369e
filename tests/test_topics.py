"""The collapsed Gibbs sampler of lesson 5.5, against the exact probabilities of all allocations."""

from itertools import product

import numba
import numpy as np
import pytest
from lessons import cell_source
from scipy.special import gammaln

LESSON = "day5_mixtures/05_latent_dirichlet_allocation.ipynb"
# five tokens in two documents, three words, two topics
WORDS, DOCUMENTS = np.array([0, 0, 1, 2, 1]), np.array([0, 0, 0, 1, 1])
ALPHA, ETA = 0.5, 0.3
SWEEPS = 100_000


def functions(code):
    """The functions that cells `sweep` and `start` define, `sweep` being given as `code`."""
    found = {"np": np, "numba": numba, "gammaln": gammaln}
    exec(code, found)
    exec(cell_source(LESSON, "start"), found)
    return found


def dirichlet_multinomial(counts, a):
    """Log probability of a sequence with these counts, term by term: each given those before."""
    total, seen = 0.0, 0
    for count in counts:
        for n in range(int(count)):
            total += np.log((n + a) / (seen + a * len(counts)))
            seen += 1
    return total


def tables(topics):
    """Tokens by document and topic, and by word and topic."""
    in_document, of_word = np.zeros((2, 2), dtype=int), np.zeros((3, 2), dtype=int)
    np.add.at(in_document, (DOCUMENTS, topics), 1)
    np.add.at(of_word, (WORDS, topics), 1)
    return in_document, of_word


def sequential(in_document, of_word):
    """Log joint probability of words and topics, token by token."""
    rows = [dirichlet_multinomial(row, ALPHA) for row in in_document]
    columns = [dirichlet_multinomial(column, ETA) for column in of_word.T]
    return sum(rows) + sum(columns)


def exact():
    """Posterior probability of each of the 32 allocations, from the sequential probabilities."""
    weights = {}
    for topics in product([0, 1], repeat=len(WORDS)):
        weights[topics] = np.exp(sequential(*tables(topics)))
    total = sum(weights.values())
    return {topics: weight / total for topics, weight in weights.items()}


def largest_difference(code):
    """Between the frequencies of the allocations in many sweeps and their probabilities."""
    found = functions(code)
    rng = np.random.default_rng(1)
    state = found["random_start"](WORDS, DOCUMENTS, 2, rng)
    probabilities = exact()
    visits = dict.fromkeys(probabilities, 0)
    for uniform in rng.random((SWEEPS, len(WORDS))):
        found["fast_sweep"](WORDS, DOCUMENTS, *state, ALPHA, ETA, uniform)
        visits[tuple(state[0].tolist())] += 1
    for stored, counted in zip(state[1:], tables(state[0]), strict=True):
        np.testing.assert_array_equal(stored, counted)
    return max(abs(visits[z] / SWEEPS - p) for z, p in probabilities.items())


def test_gibbs_visits_the_allocations_as_often_as_they_are_probable():
    assert largest_difference(cell_source(LESSON, "sweep")) < 0.006


@pytest.mark.parametrize(
    ("term", "altered"),
    [
        ("p_word = of_word[word, k] - own + eta", "p_word = of_word[word, k] + eta"),
        ("of_topic[k] - own + n_words * eta", "of_topic[k] - own + eta"),
        ("in_document[document, k] - own + alpha", "in_document[document, k] + alpha"),
        ("- own + alpha) * p_word", "- own + 2 * alpha) * p_word"),
    ],
)
def test_altered_gibbs_is_found(term, altered):
    code = cell_source(LESSON, "sweep")
    assert code.count(term) == 1
    assert largest_difference(code.replace(term, altered)) > 0.01


def test_log_joint_is_the_sum_of_the_sequential_probabilities():
    log_joint = functions(cell_source(LESSON, "sweep"))["log_joint"]
    for topics in product([0, 1], repeat=len(WORDS)):
        found = log_joint(*tables(topics), ALPHA, ETA)
        assert found == pytest.approx(sequential(*tables(topics)), abs=1e-10)
