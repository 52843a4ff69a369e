"""Every block of Bambi and PyMC code of guide/phrasebook.md builds a model that can be evaluated.

Where a section has both, the two get the same parameters and must give the same log-likelihood.
The tests at the end watch what the page says of Bambi: they fail when a new version changes it.
"""

import ast
import re

import bambi as bmb
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from lessons import ROOT
from pymc.testing import mock_sample

PAGE = (ROOT / "guide" / "phrasebook.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^#{2,3} (.+?)\n(.*?)(?=^#{2,3} |\Z)", re.M | re.S)
BLOCK = re.compile(r"^```python\n# (Bambi|PyMC|Both)\n(.*?)^```$", re.M | re.S)
SECTIONS = {title: BLOCK.findall(text) for title, text in SECTION.findall(PAGE)}
WORKING = "Working with a model"
MODELS = {
    title: blocks
    for title, blocks in SECTIONS.items()
    if blocks and title not in ("How to read it", WORKING)
}
START = dict(SECTIONS["One predictor"])["PyMC"]

# What PyMC blocks call a parameter that has another name in Bambi.
IN_BAMBI = {
    "b0": "Intercept",
    "b1": "x",
    "b_a": "a",
    "b_xa": "x:a",
    "b_xs": "scale(x)",
    "b_x2": "I(x ** 2)",
    "b_w": "w",
    "b_s": "bs(x, df=5)",
    "s0": "sigma_Intercept",
    "s1": "sigma_x",
    "c0": "Intercept",
    "c1": "x",
    "tau": "1|g_sigma",
    "z": "1|g_offset",
    "tau_x": "x|g_sigma",
    "z_x": "x|g_offset",
    "tau_gh": "1|g:h_sigma",
    "z_gh": "1|g:h_offset",
    "tau_h": "1|h_sigma",
    "z_h": "1|h_offset",
    "cut": "threshold",
    "size": "hsgp(x, m=20, c=2.5, scale=False)_sigma",
    "ell": "hsgp(x, m=20, c=2.5, scale=False)_ell",
    "z_f": "hsgp(x, m=20, c=2.5, scale=False)_weights_raw",
}


def data():
    """A small data frame with every column that the page names."""
    rng = np.random.default_rng(2026)
    rows = 24
    half = rng.uniform(0.2, 1.5, rows // 2)
    frame = pd.DataFrame(
        {
            # The middle of x is its mean, so that every HSGP has the same boundary.
            "x": rng.permutation(2 + np.concatenate([half, -half])),
            "y": rng.gamma(3, 1, rows),
            "a": np.tile(["p", "q", "r"], 8),
            "g": np.repeat(list("ABCDEF"), 4),
            "h": np.tile(list("stuv"), 6),
            "w": np.repeat(rng.normal(size=6), 4),
            "freq": rng.integers(1, 4, rows),
            "success": rng.integers(0, 2, rows),
            "n": rng.integers(5, 9, rows),
            "k": rng.integers(0, 6, rows),
            "choice": np.tile(["bus", "car", "walk"], 8),
            "rating": np.tile([1, 2, 3, 4], 6),
            "count": rng.permutation(np.arange(rows) % 5),
            "exposure": rng.uniform(1, 3, rows),
            "share": rng.uniform(0.1, 0.9, rows),
            "time": rng.exponential(2, rows),
            "status": np.tile(["none", "right", "none"], 8),
            "rt": rng.lognormal(-0.5, 0.3, rows),
            "se": rng.uniform(1, 2, rows),
        }
    )
    frame["answer"] = np.where(frame["success"] == 1, "yes", "no")
    frame[["n1", "n2", "n3"]] = rng.integers(1, 5, (rows, 3))
    frame[["q1", "q2", "q3"]] = rng.integers(0, 2, (rows, 3))
    # Text columns of pandas 3 make formulae 0.6 issue a deprecation warning.
    return frame.astype({column: object for column in frame.select_dtypes("str")})


def words():
    """The names a block may use: the imports of the page, and the data."""
    names = {"d": data()}
    exec(dict(SECTIONS["How to read it"])["Both"], names)
    return names


def bambi_models(code):
    """Run a block of Bambi code; return the models it makes."""
    names, models = words(), []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Expr):
            value = eval(
                compile(ast.Expression(statement.value), "page", "eval"), names
            )
            if isinstance(value, bmb.Model):
                models.append(value)
        else:
            exec(compile(ast.Module([statement], []), "page", "exec"), names)
    assert models, "a block of Bambi code makes no model"
    return models


def pymc_model(code):
    """Run a block of PyMC code in the place that the page gives it; return the model."""
    names = words()
    *before, context = ast.parse(START).body
    *first, last = context.body
    if code != START:
        context.body = first + ast.parse(code).body
    exec(compile(ast.Module([*before, context], []), "page", "exec"), names)
    model = names["model"]
    if not model.observed_RVs and not model.potentials:
        with model:
            exec(compile(ast.Module([last], []), "page", "exec"), names)
    return model


def parameters(model):
    """A draw of the parameters of a PyMC model from its prior."""
    draws = pm.draw(model.free_RVs, random_seed=2026)
    return {variable.name: value for variable, value in zip(model.free_RVs, draws)}


def in_bambi(values, model):
    """The parameters of a PyMC block, under the names they have in the Bambi model."""
    free = {variable.name for variable in model.free_RVs}
    named = {IN_BAMBI.get(name, name): value for name, value in values.items()}
    assert free <= set(named), f"the PyMC block has no {free - set(named)}"
    return {name: named[name] for name in free}


def log_likelihood(model, values):
    """The log-likelihood of a PyMC model at values of its parameters."""
    fixed = pm.do(model, values)
    terms = fixed.logp(fixed.observed_RVs or fixed.potentials)
    return float(pytensor.function([], terms)())


@pytest.fixture(autouse=True)
def _interpreted():
    """Let PyTensor interpret its graphs: to compile what is used once takes longer."""
    with pytensor.config.change_flags(mode="FAST_COMPILE", cxx=""):
        yield


def test_page_has_what_it_promises():
    untold = [
        title
        for title, text in SECTION.findall(PAGE)
        if "```r\n" in text and not SECTIONS[title]
    ]
    assert not untold, f"no Python code that a test could run: {untold}"
    written = len(re.findall(r"^ *```python", PAGE, re.M))
    read = sum(map(len, SECTIONS.values()))
    assert read == written, "a block begins with a line '# Bambi', '# PyMC' or '# Both'"


@pytest.mark.parametrize("title", MODELS)
def test_models_can_be_evaluated_and_agree(title):
    code = {language: [] for language in ("Bambi", "PyMC")}
    for language, block in MODELS[title]:
        code[language].append(block)
    values = expected = None
    for block in code["PyMC"]:
        model = pymc_model(block)
        values = parameters(model)
        expected = log_likelihood(model, values)
        assert np.isfinite(expected), f"PyMC: log-likelihood {expected}"
    for model in [model for block in code["Bambi"] for model in bambi_models(block)]:
        model.center_predictors = False
        model.build()
        inner = model.backend.model
        if expected is None:
            found = log_likelihood(inner, parameters(inner))
            assert np.isfinite(found), f"{model.formula}: log-likelihood {found}"
        else:
            found = log_likelihood(inner, in_bambi(values, inner))
            assert found == pytest.approx(expected, rel=1e-9), model.formula
            expected = None  # the first model of Bambi is the one in PyMC


@pytest.mark.parametrize(
    ("title", "right", "wrong"),
    [
        ("Crossed", "(1|h)", "(1|no_such_column)"),
        ("Negative binomial", "negativebinomial", "negbinomial"),
        ("Negative binomial", "alpha=alpha", "alpha=1 / alpha"),
        ("Too many zeros: hurdle", "psi=psi", "psi=1 - psi"),
        ("Poisson, with an offset", "exposure * rate", "rate"),
    ],
)
def test_a_wrong_block_is_caught(monkeypatch, title, right, wrong):
    spoilt = [(kind, code.replace(right, wrong)) for kind, code in MODELS[title]]
    assert spoilt != MODELS[title]
    monkeypatch.setitem(MODELS, title, spoilt)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        test_models_can_be_evaluated_and_agree(title)


@pytest.fixture
def _mock_sampler(monkeypatch):
    """Take the prior's draws for those of the sampler: it is not the sampler that is tested."""
    monkeypatch.setattr(
        pm,
        "sample",
        lambda **options: mock_sample(**{**options, "draws": 50, "chains": 2}),
    )


@pytest.mark.usefixtures("_mock_sampler")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter")  # loo of prior draws
@pytest.mark.parametrize(("language", "code"), SECTIONS[WORKING])
def test_working_with_a_model_works(language, code):
    names = words()
    exec(dict(SECTIONS["Own priors"])["Bambi"], names)
    names["new"] = pd.DataFrame({"x": [1.0, 2.0], "g": ["A", "F"]})
    if language == "PyMC":
        names["model"] = pymc_model(START)
    exec(code, names)
    groups = set(names["fit"].children)
    assert {"posterior", "posterior_predictive", "log_likelihood"} <= groups


# --- What the page says of Bambi, in "Where they differ" ----------------------------------------


def built(formula, frame=None, **options):
    model = bmb.Model(formula, data() if frame is None else frame, **options)
    model.build()
    return model


def levels(column):
    """The levels that Bambi makes of a column of a, b and c, without the reference."""
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0] * 4, "a": column})
    return list(built("y ~ a", frame).backend.model.coords["a_dim"])


def prior_mean(model, name):
    group = model.prior_predictive(draws=50, random_seed=2026)
    return float(
        (group.prior if name in group.prior else group.prior_predictive)[name].mean()
    )


def test_double_bar_is_an_error():
    with pytest.raises(Exception, match="Don't know how to parse"):
        built("y ~ x + (x||g)")


@pytest.mark.parametrize("mean", [100, bmb.Prior("Normal", mu=100, sigma=1)])
def test_mean_of_a_noncentred_varying_effect_is_dropped(mean):
    sd = bmb.Prior("HalfNormal", sigma=1)
    priors = {"1|g": bmb.Prior("Normal", mu=mean, sigma=sd)}
    model = built("y ~ 0 + (1|g)", priors=priors)
    assert abs(prior_mean(model, "1|g")) < 1
    model = built("y ~ 0 + (1|g)", priors=priors, noncentered=False)
    assert abs(prior_mean(model, "1|g") - 100) < 1


def test_prior_of_the_intercept_is_that_at_the_mean_of_the_predictors():
    priors = {
        "Intercept": bmb.Prior("Normal", mu=10, sigma=0.01),
        "x": bmb.Prior("Normal", mu=5, sigma=0.01),
        "sigma": bmb.Prior("HalfNormal", sigma=0.01),
    }
    for centred, mean in [(True, 10), (False, 10 + 5 * data()["x"].mean())]:
        model = built("y ~ x", priors=priors, center_predictors=centred)
        assert prior_mean(model, "Intercept") == pytest.approx(10, abs=0.1)
        assert prior_mean(model, "y") == pytest.approx(mean, abs=0.1)


def test_ordinal_models_are_not_centred():
    frame = data()
    frame["rating"] = pd.Categorical(frame["rating"], ordered=True)
    model = built("rating ~ 0 + x", frame, family="cumulative")
    component = model.backend.distributional_components["p"]
    assert component.design_matrix_without_intercept is None


def test_default_priors():
    frame = data()
    y, x = frame["y"].std(ddof=0), frame["x"].std(ddof=0)
    wide = np.hypot(2.5 * y, 2.5 * y / x * frame["x"].mean())
    for centred in (True, False):
        model = built("y ~ x + (1|g)", frame, center_predictors=centred)
        priors = {
            name: term.prior.args for name, term in model.parameters["mu"].terms.items()
        }
        assert priors["x"]["sigma"] == pytest.approx(2.5 * y / x)
        assert priors["Intercept"]["mu"] == pytest.approx(frame["y"].mean())
        assert priors["Intercept"]["sigma"] == pytest.approx(wide)
        assert priors["1|g"]["sigma"].args["sigma"] == pytest.approx(wide)
    assert (
        str(model.parameters["sigma"].prior) == f"HalfStudentT(nu: 4.0, sigma: {y:.4f})"
    )
    model = built("success ~ x", frame, family="bernoulli")
    assert model.parameters["p"].terms["x"].prior.args["sigma"] == pytest.approx(1 / x)


@pytest.mark.parametrize("outcome", ["weighted(y, freq)", "censored(y, status)"])
def test_default_priors_take_weights_and_codes_for_outcomes(outcome):
    model = built(f"{outcome} ~ x")
    found = model.parameters["mu"].terms["Intercept"].prior.args["mu"]
    assert abs(found - data()["y"].mean()) > 0.5


def test_order_of_categories():
    a, order = ["a", "b", "c"] * 4, ["c", "a", "b"]
    assert levels(pd.Series(a, dtype=object)) == ["b", "c"]
    assert levels(pd.Categorical(a, categories=order)) == ["b", "c"]
    assert levels(pd.Categorical(a, categories=order, ordered=True)) == ["a", "b"]


def test_success_is_the_first_level():
    model = built("answer ~ x", family="bernoulli")
    assert ((data()["answer"] == "no") == model.response_term.data).all()


@pytest.mark.parametrize(("scale", "sd"), [("", 0.4), (", scale=False", 1)])
def test_boundary_of_hsgp_is_not_scaled_with_the_predictor(scale, sd):
    name = f"hsgp(x, m=20, c=1.5{scale})"
    frame = pd.DataFrame({"x": np.linspace(0, 50, 40)}).assign(y=lambda d: d["x"] % 7)
    model = built(f"y ~ {name}", frame).backend.model
    # Without scale=False, the unit of the length-scale is the range.
    values = {f"{name}_sigma": 1.0, f"{name}_ell": 10.0 if scale else 0.2}
    curves = pm.draw(pm.do(model, values)[name], 400, random_seed=2026)
    assert curves.std(axis=0)[20] == pytest.approx(sd, abs=0.1)


@pytest.mark.usefixtures("_mock_sampler")
@pytest.mark.filterwarnings("ignore:Constructing a Categorical")  # by formulae
def test_new_groups():
    model = built("y ~ x + (1|g)")
    fit = model.fit(random_seed=2026)
    new = pd.DataFrame({"x": [1.0, 1.0], "g": ["new", "newer"]})
    with pytest.raises(ValueError, match="There are new groups"):
        model.predict(fit, data=new)
    with pytest.warns(FutureWarning, match="deprecated"):
        model.predict(fit, data=new, sample_new_groups=True)
    assert (fit.posterior["mu"][..., 0] == fit.posterior["mu"][..., 1]).all()


@pytest.mark.usefixtures("_mock_sampler")
def test_known_standard_errors_can_be_fitted_but_not_predicted():
    (model,) = bambi_models(dict(SECTIONS["Known standard errors"])["Bambi"])
    fit = model.fit(random_seed=2026)
    with pytest.raises(TypeError):
        model.predict(fit)
    with pytest.raises(TypeError):
        model.compute_log_likelihood(fit)


def test_missing_values_stop_bambi_unless_rows_are_dropped():
    frame = data()
    frame.loc[0, "x"] = np.nan
    with pytest.raises(ValueError, match="1 incomplete row"):
        built("y ~ x", frame)
    assert len(built("y ~ x", frame, dropna=True).response_term.data) == 23
