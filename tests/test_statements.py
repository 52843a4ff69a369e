"""What the lessons and guide pages say of the libraries, where running a lesson does not show it.

Each docstring quotes a statement and says where it stands: mend both when a new version breaks it.
The phrasebook's statements are in test_phrasebook.py.
"""

import arviz as az
import bambi as bmb
import numpy as np
import nutpie
import pandas as pd
import pymc as pm
import pytensor
import pytest
from pymc.testing import mock_sample
from scipy import stats


@pytest.fixture(autouse=True)
def _interpreted():
    with pytensor.config.change_flags(mode="FAST_COMPILE", cxx=""):
        yield


@pytest.mark.parametrize(
    ("kind", "order"), [(int, ["2", "9", "10"]), (object, ["10", "2", "9"])]
)
def test_labels_of_groups(kind, order):
    """Bambi keeps whole numbers in the order of numbers; text would be sorted as text.

    Day 2, lesson 8; guide/phrasebook.md relies on it. It stores both as text.
    """
    labels = ["9", "10", "2"] * 4 if kind is object else [9, 10, 2] * 4
    frame = pd.DataFrame({"y": np.arange(12.0), "g": pd.Series(labels, dtype=kind)})
    model = bmb.Model("y ~ 1 + (1|g)", frame)
    model.build()
    with model.backend.model:
        labels = mock_sample(draws=5, chains=2).posterior["g__factor_dim"]
    assert labels.dtype.kind == "U"
    assert labels.values.tolist() == order


def test_defaults_of_a_t_model_and_name_of_a_dimension():
    """Gamma(2, 0.1) is Bambi's usual prior for ν; the name of a predictor and `_dim`.

    Day 1, lesson 6.
    """
    frame = pd.DataFrame({"y": np.arange(6.0), "group": pd.Series(list("ababab"))})
    model = bmb.Model("y ~ 0 + group", frame.astype({"group": object}), family="t")
    model.build()
    assert str(model.parameters["nu"].prior) == "Gamma(alpha: 2.0, beta: 0.1)"
    assert list(model.backend.model.coords["group_dim"]) == ["a", "b"]


def test_a_small_whole_number_ends_at_127():
    """PyMC stores a small whole number in a format that ends at 127. Day 1, lesson 5."""
    whole, decimal = (pm.logp(pm.Beta.dist(a, a), 0.5).eval() for a in (100, 100.0))
    assert np.isinf(whole)
    assert decimal == pytest.approx(stats.beta(100, 100).logpdf(0.5), abs=1e-3)


@pytest.fixture
def five_groups():
    """A Bambi model of five groups, and draws from its prior in place of a fit."""
    frame = pd.DataFrame({"y": np.arange(20.0), "g": list("abcde") * 4})
    model = bmb.Model("y ~ 1 + (1|g)", frame)
    model.build()
    with model.backend.model:
        return model, mock_sample(draws=50, chains=2, random_seed=2026)


def test_a_new_group_of_bambi_is_one_of_the_old(five_groups):
    """It picks one of the groups of the data at random, the same one in all chains.

    Day 2, lesson 7; day 3, lesson 5.
    """
    model, draws = five_groups
    with pytest.warns(FutureWarning, match="sample_new_groups"):
        new = model.predict(
            draws,
            data=pd.DataFrame({"g": ["new"]}),
            sample_new_groups=True,
            inplace=False,
            random_seed=2026,
        )
    levels = draws.posterior["Intercept"] + draws.posterior["1|g"]
    distance = abs(levels - new.posterior["mu"].sel(__obs__=0))
    assert distance.min("g__factor_dim").max() < 1e-9
    picked = distance.argmin("g__factor_dim")
    assert (picked.sel(chain=0) == picked.sel(chain=1)).all()


def test_the_ends_of_interpret_are_of_the_hdi_unless_told_otherwise(five_groups):
    """With `use_hdi=False` they are the ends of the ETI, under the same names.

    Day 1, lesson 6; day 3, lesson 5.
    """
    model, draws = five_groups
    who = {"g": ["a"]}
    hdi = bmb.interpret.predictions(model, draws, who).summary
    eti = bmb.interpret.predictions(model, draws, who, use_hdi=False)
    assert list(hdi.columns) == list(eti.summary.columns)
    levels = draws.posterior["Intercept"] + draws.posterior["1|g"]
    ends = levels.sel(g__factor_dim="a").quantile([0.055, 0.945]).to_numpy()
    shown = eti.summary[["lower_5.5%", "upper_94.5%"]].to_numpy()[0]
    assert shown == pytest.approx(ends)
    assert hdi["lower_5.5%"].item() != pytest.approx(ends[0])


def test_sample_vars_names_what_is_drawn_anew():
    """`sample_vars` names what is to be drawn anew; the rest is kept. Day 2, lessons 2 and 6."""
    with pm.Model() as model:
        centre = pm.Normal("centre", 0, 1)
        pm.Normal("effect", centre, 1, shape=3)
        pm.Normal("y", model["effect"], 0.001, observed=np.zeros(3))
        draws = mock_sample(draws=50, chains=2, random_seed=2026)
        options = {"progressbar": False, "random_seed": 2026}
        kept = pm.sample_posterior_predictive(draws, **options)
        anew = pm.sample_posterior_predictive(
            draws, sample_vars=["effect", "y"], **options
        )
    effects = draws.posterior["effect"].to_numpy()
    assert abs(kept["posterior_predictive"]["y"].to_numpy() - effects).max() < 0.01
    assert abs(anew["posterior_predictive"]["y"].to_numpy() - effects).mean() > 0.5


def fit(draws, **sample_stats):
    """Four chains of given draws, as a sampler returns them."""
    return az.from_dict({"posterior": {"x": draws}, "sample_stats": sample_stats})


def sticky_tails(rng):
    """Draws whose sign is new each time, but whose distance from 0 changes slowly."""
    scale = np.cumsum(rng.normal(0, 0.08, (4, 1000)), axis=1)
    return rng.normal(size=(4, 1000)) * np.exp(scale - scale.mean(axis=1)[:, None])


def test_summary_shows_what_the_lessons_explain():
    """Mean, sd, ends of the 89 % ETI, ESS of the middle and the tails, R-hat, MCSEs.

    Day 1, lesson 5; guide/notation.md. Tail ESS is that of the 11 % and the 89 % quantile: day 3,
    lesson 4; guide/glossary.md.
    """
    draws = sticky_tails(np.random.default_rng(2026))
    table = az.summary(fit(draws), round_to="none")
    columns = "mean sd eti89_lb eti89_ub ess_bulk ess_tail r_hat mcse_mean mcse_sd"
    assert list(table.columns) == columns.split()
    low, high, tail = table.loc["x", ["eti89_lb", "eti89_ub", "ess_tail"]]
    assert [low, high] == pytest.approx(np.quantile(draws, [0.055, 0.945]))
    assert tail == pytest.approx(az.ess(draws, method="tail", prob=(0.11, 0.89)))


def test_diagnose_looks_at_bulk_ess_only_and_not_at_the_depth_of_trees():
    """It warns below 400 for the bulk only; tree depth it does not tell. Day 3, lesson 4."""
    rng = np.random.default_rng(2026)
    draws = sticky_tails(rng)
    deep = fit(draws, maxdepth_reached=np.ones((4, 1000), dtype=bool))
    assert az.ess(draws) > 400 > az.ess(draws, method="tail", prob=(0.11, 0.89))
    assert not az.diagnose(deep, rhat_max=9, show_diagnostics=False)
    slow = np.sin(np.arange(1000) / 20 + rng.uniform(0, 6, (4, 1))) + rng.normal(
        0, 0.1, (4, 1000)
    )
    assert az.ess(slow) < 400
    assert az.diagnose(fit(slow), rhat_max=9, show_diagnostics=False)


def test_diagnose_is_silent_on_a_stopped_fit():
    """`az.diagnose` finds no problem in NaN. Getting started; day 3, lesson 4."""
    assert not az.diagnose(fit(np.full((4, 100), np.nan)), show_diagnostics=False)


def test_arviz_has_what_is_recommended_and_no_waic():
    """`method="multimodal"`: day 1, lesson 4. `az.reloo`; no longer offers WAIC: lesson 7.

    `az.plot_rank` draws no histograms but differences of ECDFs: day 3, lesson 4.
    """
    two_peaks = np.random.default_rng(2026).normal([0, 9], 1, (5000, 2)).ravel()
    assert az.hdi(two_peaks, method="multimodal").shape == (2, 2)
    assert hasattr(az, "reloo")
    assert not hasattr(az, "waic")
    assert "ECDF" in az.plot_rank.__doc__


def test_names_on_the_scale_of_the_sampler():
    """`sigma_log__` for what is positive, `theta_logodds__` for a probability. Day 3, lesson 2."""
    with pm.Model() as model:
        pm.Normal("mu")
        pm.HalfNormal("sigma")
        pm.Beta("theta", 1, 1)
    names = [variable.name for variable in model.value_vars]
    assert names == ["mu", "sigma_log__", "theta_logodds__"]


def test_no_draws_from_a_flat_prior():
    """PyMC cannot draw from such a prior (`pm.Flat`). Day 2, lesson 2."""
    with pytest.raises(NotImplementedError):
        pm.draw(pm.Flat.dist())


def test_cholesky_factor_comes_packed():
    """The entries of its lower triangle row by row: L11, L21, L22. Day 3, lesson 5."""
    sds = pm.HalfNormal.dist(1, shape=2)
    with pm.Model():
        packed = pm.LKJCholeskyCov("L", eta=2, n=2, sd_dist=sds, compute_corr=False)
        draws, full = pm.draw(
            [packed, pm.math.expand_packed_triangular(2, packed)], 20, random_seed=2026
        )
    assert (draws[:, [0, 2]] > 0).all()
    assert (draws[:, 1] < 0).any()
    assert (full[:, [0, 1, 1], [0, 0, 1]] == draws).all()


@pytest.mark.filterwarnings("ignore:Found dimension named")
def test_dimension_named_sample():
    """A dimension must not be named `sample`, as ArviZ uses that name. Day 3, lesson 8."""
    draws = np.zeros((4, 100, 3))
    named = az.from_dict({"posterior": {"x": draws}}, dims={"x": ["sample"]})
    with pytest.raises(ValueError, match="same name"):
        az.extract(named)


def test_samplers():
    """`target_accept`, 0.8 by default; nutpie estimates a diagonal; `maxdepth_reached`.

    Day 3, lesson 4. `adaptation="low_rank"`: day 3, lesson 8.
    """
    with pm.Model() as model:
        pm.Normal("x")
        assert pm.NUTS().target_accept == 0.8
    compiled = nutpie.compile_pymc_model(model)
    settings = {"draws": 20, "tune": 50, "chains": 1, "progress_bar": False, "seed": 1}
    stats_of = nutpie.sample(compiled, **settings).sample_stats
    assert "maxdepth_reached" in stats_of
    default = str(stats_of.attrs["inference_library_settings"])
    assert '"adaptation": "diag"' in default
    assert '"target_accept": 0.8' in default
    nutpie.sample(compiled, adaptation="low_rank", **settings)


@pytest.mark.parametrize(
    ("ours", "known"),
    [
        (pm.Normal.dist(1, 2), stats.norm(1, 2)),
        (pm.Normal.dist(1, tau=4), stats.norm(1, 0.5)),  # what tau means in PyMC
        (pm.HalfNormal.dist(2), stats.halfnorm(scale=2)),
        (pm.StudentT.dist(3, 1, sigma=2), stats.t(3, 1, 2)),
        (pm.HalfCauchy.dist(2), stats.halfcauchy(scale=2)),
        (pm.LogNormal.dist(1, 2), stats.lognorm(2, scale=np.exp(1))),
        (pm.Exponential.dist(2), stats.expon(scale=0.5)),
        (pm.Gamma.dist(2, 3), stats.gamma(2, scale=1 / 3)),
        (pm.Uniform.dist(1, 5), stats.uniform(1, 4)),
    ],
)
def test_parameters_of_distributions(ours, known):
    """The table of distributions in guide/notation.md, where there is more than one custom."""
    assert pm.logp(ours, 3).eval() == pytest.approx(known.logpdf(3))
