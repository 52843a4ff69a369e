"""Every block of Bambi and PyMC code of guide/phrasebook.md builds a model that can be evaluated.

Where a section has both, the two get the same parameters and must give the same log-likelihood.
The tests at the end watch what the page says of Bambi: they fail when a new version changes it.
"""

import ast
import inspect
import re

import arviz as az
import bambi as bmb
import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from lessons import ROOT
from pymc.testing import mock_sample
from pytensor.graph.traversal import ancestors
from scipy.special import expit

PAGE = (ROOT / "guide" / "phrasebook.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^#{2,3} (.+?)\n(.*?)(?=^#{2,3} |\Z)", re.M | re.S)
BLOCK = re.compile(
    r"^```python\n# (Bambi|PyMC|Both)((?:: replaces [^\n]+)?\n.*?)^```$", re.M | re.S
)
SECTIONS = {title: BLOCK.findall(text) for title, text in SECTION.findall(PAGE)}
LINES = ("b0", "b1", "sigma", "mu", "y")  # of the model in the first block
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
    "nu_g": "1|g_nu",
    "u": "1|g",
    "tau_x": "x|g_sigma",
    "z_x": "x|g_offset",
    "tau_a": "a|g_sigma",
    "z_a": "a|g_offset",
    "tau_gh": "1|g:h_sigma",
    "z_gh": "1|g:h_offset",
    "tau_obs": "1|obs_sigma",
    "z_obs": "1|obs_offset",
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


def replaced(code):
    """The lines of the first block that a PyMC block says it replaces, and its own code."""
    first, _, rest = code.partition("\n")
    names = re.findall(r"\w+", first.partition("replaces")[2].replace(" and ", " "))
    assert set(names) <= set(LINES), f"no such line: {first}"
    return [name for name in LINES if name in names], rest


def pymc_model(*blocks):
    """The model of the first block, after other blocks have replaced their lines of it."""
    names = words()
    *before, context = ast.parse(START).body
    lines = dict(zip(LINES, ([line] for line in context.body), strict=True))
    for block in blocks:
        if block != START:
            gone, code = replaced(block)
            assert gone, "a PyMC block says in its first line what it replaces"
            lines |= {name: [] for name in gone}
            lines[gone[-1]] = ast.parse(code).body
    context.body = [statement for name in LINES for statement in lines[name]]
    exec(compile(ast.Module([*before, context], []), "page", "exec"), names)
    return names["model"]


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
        used = set(ancestors(model.observed_RVs or model.potentials))
        unused = [v.name for v in model.free_RVs if v not in used]
        assert not unused, f"PyMC: the block should replace {unused}, too"
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
        ("Poisson, with an offset", "replaces sigma and y", "replaces y"),
        ("Varying intercepts", "replaces mu", "replaces sigma"),
        ("Spline", ": replaces b1 and mu", ""),
    ],
)
def test_a_wrong_block_is_caught(monkeypatch, title, right, wrong):
    spoilt = [(kind, code.replace(right, wrong)) for kind, code in MODELS[title]]
    assert spoilt != MODELS[title]
    monkeypatch.setitem(MODELS, title, spoilt)
    with pytest.raises((AssertionError, KeyError, NameError, ValueError)):
        test_models_can_be_evaluated_and_agree(title)


ENDS_WITH_MU = [
    title
    for title, blocks in MODELS.items()
    if any(kind == "PyMC" and replaced(code)[0][-1:] == ["mu"] for kind, code in blocks)
]


@pytest.mark.parametrize("title", ENDS_WITH_MU)
def test_two_blocks_can_be_combined(title):
    first, second = (
        dict(MODELS[title])["PyMC"],
        dict(MODELS["Negative binomial"])["PyMC"],
    )
    model = pymc_model(first, second)
    assert set(model.free_RVs) <= set(ancestors(model.observed_RVs))
    if title == "Varying intercepts":
        values = parameters(model)
        twin = built(
            "count ~ x + (1|g)", family="negativebinomial", center_predictors=False
        ).backend.model
        found = log_likelihood(twin, in_bambi(values, twin))
        assert found == pytest.approx(log_likelihood(model, values), rel=1e-9)


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
    assert "1|g_offset" not in model.backend.model.named_vars


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


@pytest.mark.usefixtures("_mock_sampler")
def test_intercept_of_a_fit_is_that_at_zero():
    priors = {
        "Intercept": bmb.Prior("Normal", mu=10, sigma=0.01),
        "x": bmb.Prior("Normal", mu=5, sigma=0.01),
    }
    fit = built("y ~ x", priors=priors).fit(random_seed=2026)
    expected = 10 - 5 * data()["x"].mean()
    assert float(fit.posterior["Intercept"].mean()) == pytest.approx(expected, abs=0.1)


def centred(model, parent):
    component = model.backend.distributional_components[parent]
    return component.design_matrix_without_intercept is not None


def test_centring():
    assert centred(built("y ~ x + a"), "mu")
    assert not centred(built("y ~ 0 + x"), "mu")


def rated():
    frame = data()
    return frame.assign(rating=pd.Categorical(frame["rating"], ordered=True))


@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_ordinal_models(family):
    with pytest.warns(UserWarning, match="intercept is omitted"):
        assert not centred(built("rating ~ x", rated(), family=family), "p")
    assert not centred(built("rating ~ 0 + x", rated(), family=family), "p")
    with pytest.raises(IndexError):
        built("rating ~ 0 + x", family=family)


@pytest.mark.parametrize("slope", [0.7, -0.7])
@pytest.mark.parametrize("family", ["cumulative", "sratio"])
def test_probabilities_of_ordinal_models(family, slope):
    cut, frame = np.array([-1.0, 0.2, 1.3]), rated()
    model = built("rating ~ 0 + x", frame, family=family).backend.model
    fixed = pm.do(model, {"threshold": cut, "x": slope})
    p = fixed["rating"].owner.inputs[-1].eval()
    at_most = p.cumsum(axis=1)[:, :-1]
    reached = 1 - at_most + p[:, :-1]
    formula = expit(cut - slope * frame["x"].to_numpy()[:, None])
    stops = p[:, :-1] / reached
    assert np.allclose(at_most, formula) == (family == "cumulative")
    assert np.allclose(stops, formula) == (family == "sratio")
    higher = np.corrcoef(frame["x"], p @ np.arange(4))[0, 1]
    assert np.sign(higher) == np.sign(slope)


def default_priors(formula, parent="mu", frame=None, **options):
    """The arguments of the default priors of a model's terms."""
    terms = built(formula, frame, **options).parameters[parent].terms
    return {name: term.prior.args for name, term in terms.items()}


def sd(column):
    return data()[column].std(ddof=0)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("family", ["gaussian", "t"])
def test_default_priors(family, centred):
    y, x, w = sd("y"), 2.5 * sd("y") / sd("x"), 2.5 * sd("y") / sd("w")
    wide = np.hypot(2.5 * y, np.hypot(x * data()["x"].mean(), w * data()["w"].mean()))
    model = built("y ~ x + w + (x|g)", family=family, center_predictors=centred)
    priors = {n: t.prior.args for n, t in model.parameters["mu"].terms.items()}
    assert priors["x"]["sigma"] == pytest.approx(x)
    assert priors["Intercept"]["mu"] == pytest.approx(data()["y"].mean())
    assert priors["Intercept"]["sigma"] == pytest.approx(wide)
    assert priors["1|g"]["sigma"].args["sigma"] == pytest.approx(wide)
    assert priors["x|g"]["sigma"].args["sigma"] == pytest.approx(x)
    assert {priors[name]["sigma"].name for name in ("1|g", "x|g")} == {"HalfNormal"}
    assert (
        str(model.parameters["sigma"].prior) == f"HalfStudentT(nu: 4.0, sigma: {y:.4f})"
    )


OTHERS = {
    "poisson": ("count", "mu", "log"),
    "beta": ("share", "mu", "logit"),
    "beta_binomial": ("p(k, n)", "mu", "logit"),
    "bernoulli": ("success", "p", "cloglog"),
}
EXCEPTIONS = [
    ("bernoulli", "success", "logit"),
    ("bernoulli", "success", "probit"),
    ("binomial", "p(k, n)", "logit"),
    ("binomial", "p(k, n)", "probit"),
]


@pytest.mark.parametrize("family", OTHERS)
def test_default_priors_of_other_families(family):
    outcome, parent, link = OTHERS[family]
    priors = default_priors(
        f"{outcome} ~ x + (x|g)", parent, family=family, link={parent: link}
    )
    wide = 2.5 * np.hypot(1, data()["x"].mean() / sd("x"))
    assert priors["x"]["sigma"] == pytest.approx(2.5 / sd("x"))
    assert priors["Intercept"]["mu"] == 0
    assert priors["Intercept"]["sigma"] == pytest.approx(wide)
    assert priors["1|g"]["sigma"].args["sigma"] == pytest.approx(wide)


@pytest.mark.parametrize(("family", "outcome", "link"), EXCEPTIONS)
def test_default_priors_with_logit_and_probit_links(family, outcome, link):
    formula = f"{outcome} ~ x + a + a:h + (x|g)"
    priors = default_priors(formula, "p", family=family, link=link)
    assert priors["Intercept"] == {"mu": 0, "sigma": 1.5}
    assert priors["x"]["sigma"] == pytest.approx(1 / sd("x"))
    assert (priors["a"]["sigma"] == 1).all()
    assert (priors["a:h"]["sigma"] == 1).all()
    assert priors["x|g"]["sigma"].args["sigma"] == pytest.approx(2.5 / sd("x"))
    priors = default_priors(f"{outcome} ~ x + (1|g)", "p", family=family, link=link)
    wide = np.hypot(2.5, data()["x"].mean() / sd("x"))
    assert priors["1|g"]["sigma"].args["sigma"] == pytest.approx(wide)


def test_slopes_with_own_priors_do_not_widen_the_others():
    own = {"x": bmb.Prior("Normal", mu=0, sigma=1)}
    priors = default_priors("y ~ x + (1|g)", priors=own)
    assert priors["Intercept"]["sigma"] == pytest.approx(2.5 * sd("y"))
    assert priors["1|g"]["sigma"].args["sigma"] == pytest.approx(2.5 * sd("y"))


def test_scale_divides_by_n():
    scaled = built("y ~ scale(x)").parameters["mu"].terms["scale(x)"].data
    assert scaled.std(ddof=0) == pytest.approx(1)


@pytest.mark.filterwarnings("ignore:invalid value")  # a bound is infinite
@pytest.mark.parametrize(
    "outcome", ["truncated(y, lb=0)", "weighted(y, freq)", "censored(y, status)"]
)
def test_default_priors_take_bounds_weights_and_codes_for_outcomes(outcome):
    found = default_priors(f"{outcome} ~ x")["Intercept"]["mu"]
    assert abs(found - data()["y"].mean()) > 0.5


def test_order_of_categories():
    a, order = ["a", "b", "c"] * 4, ["c", "a", "b"]
    assert levels(pd.Series(a, dtype=object)) == ["b", "c"]
    assert levels(pd.Categorical(a, categories=order)) == ["b", "c"]
    assert levels(pd.Categorical(a, categories=order, ordered=True)) == ["a", "b"]


def test_unused_levels_of_an_ordered_column():
    frame = pd.DataFrame({"y": [1.0, 2.0, 4.0] * 4, "a": ["a", "b", "c"] * 4})
    order = {"categories": ["c", "a", "b"]}
    frame["unordered"] = pd.Categorical(frame["a"], **order)
    frame["a"] = pd.Categorical(frame["a"], ordered=True, **order)
    frame = frame[frame["a"] != "b"]
    with np.errstate(divide="ignore", invalid="ignore"):
        model = built("y ~ a", frame)
    assert list(model.backend.model.coords["a_dim"]) == ["a", "b"]
    priors = {n: t.prior.args for n, t in model.parameters["mu"].terms.items()}
    assert priors["a"]["sigma"][1] == np.inf
    assert np.isnan(priors["Intercept"]["sigma"])
    with pytest.raises(pm.exceptions.SamplingError, match="starting point failed"):
        model.fit(draws=2, tune=2, chains=1, inference_method="pymc", progressbar=False)
    assert list(
        built("y ~ 1 + (1|a)", frame).backend.model.coords["a__factor_dim"]
    ) == [
        "c",
        "a",
        "b",
    ]
    dropped = built("y ~ unordered", frame)
    mended = built("y ~ a", frame.assign(a=frame["a"].cat.remove_unused_categories()))
    assert list(dropped.backend.model.coords["unordered_dim"]) == ["c"]
    assert list(mended.backend.model.coords["a_dim"]) == ["a"]
    for model in (dropped, mended):
        for term in model.parameters["mu"].terms.values():
            assert np.isfinite(term.prior.args["sigma"]).all()


def test_ordered_predictor_has_treatment_contrasts():
    frame = data().assign(a=lambda d: pd.Categorical(d["a"], ordered=True))
    rows = built("y ~ a", frame).parameters["mu"].terms["a"].data
    assert np.unique(rows, axis=0).tolist() == [[0, 0], [0, 1], [1, 0]]


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
    draws = fit.posterior
    assert (draws["mu"][..., 0] == draws["mu"][..., 1]).all()
    effect = draws["mu"][..., 0] - draws["Intercept"] - draws["x"]
    is_of = np.isclose(effect.to_numpy()[..., None], draws["1|g"])
    assert (is_of.sum(axis=-1) == 1).all()  # the effect of a group that was seen
    assert is_of.any(axis=(0, 1)).all()  # another one in each draw


@pytest.mark.usefixtures("_mock_sampler")
def test_log_likelihood_of_pymc_fails_with_varying_effects():
    model = built("y ~ x + (1|g)")
    fit = model.fit(random_seed=2026)
    with pytest.raises(KeyError, match="offset"), model.backend.model:
        pm.compute_log_likelihood(fit)


@pytest.mark.filterwarnings("ignore:.*samples per chain")
def test_nutpie_fails_with_a_comma_in_a_name():
    few = {"draws": 5, "tune": 5, "chains": 1, "progressbar": False}
    model = built("y ~ bs(x, df=5)")
    with pytest.raises(ValueError, match="more dims"):
        model.fit(inference_method="nutpie", **few)
    model.set_alias({"bs(x, df=5)": "spline"})
    model.build()
    assert "spline" in model.fit(inference_method="nutpie", **few).posterior


def test_default_draws():
    for fit in (bmb.Model.fit, pm.sample):
        defaults = inspect.signature(fit).parameters
        assert defaults["draws"].default == 1000
        assert defaults["tune"].default in (1000, None)  # None: chosen later
        assert defaults["chains"].default is None


NAMES = {
    "gaussian": (
        "y ~ x * a + (x|g)",
        "Intercept x a[q] x:a[q] 1|g_sigma x|g_sigma 1|g[A]",
    ),
    "sigma": (bmb.Formula("y ~ x", "sigma ~ x"), "sigma_x"),
    "cumulative": ("rating ~ 0 + x", "threshold[0]"),
    "negativebinomial": ("count ~ x", "alpha"),
    "beta": ("share ~ x", "kappa"),
    "beta_binomial": ("p(k, n) ~ x", "kappa"),
    "gamma": ("time ~ x", "alpha"),
    "weibull": ("time ~ x", "alpha"),
    "wald": ("rt ~ x", "lam"),
    "exgaussian": ("rt ~ x", "sigma nu"),
    "zero_inflated_poisson": ("count ~ x", "psi"),
    "hurdle_poisson": ("count ~ x", "psi"),
}


@pytest.mark.usefixtures("_mock_sampler")
@pytest.mark.parametrize("family", NAMES)
def test_names_of_parameters(family):
    formula, names = NAMES[family]
    family = "gaussian" if family == "sigma" else family
    fit = built(formula, rated(), family=family).fit(random_seed=2026)
    assert set(names.split()) <= set(az.summary(fit, kind="stats").index)


def test_default_link_of_gamma_is_the_inverse():
    assert (
        bmb.Model("time ~ x", data(), family="gamma").family.link["mu"].name
        == "inverse"
    )


def test_default_length_scale_of_hsgp():
    name = "hsgp(x, m=20, c=1.5, scale=False)"
    prior = built(f"y ~ {name}").parameters["mu"].terms[name].prior["ell"]
    assert str(prior) == "InverseGamma(alpha: 3.0, beta: 2.0)"


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
