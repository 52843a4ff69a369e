"""What the checks look at inside a lesson's kernel, without a line in the lesson.

`source(shift)` is code to be run in a fresh kernel before the lesson's first cell; `make execute`
and the tests both do so. It adds an output of type `MIME` to the cells of the lesson, a mapping of
descriptions to text, which output_check.py compares like anything else that a cell prints:

- for every figure that is shown, its labels, scales, limits and what each artist draws;
- for every PyMC model (those behind Bambi too), the log density of each variable at a fixed point;
- for every fit, means and standard deviations of its draws.

It also moves the seeds of the samplers by `shift`, and of nothing else. What then changes depends
on a sampler's draws; all the rest comes from NumPy's generator and is the same on every machine.
"""

import sys
from pathlib import Path

MIME = "application/vnd.bayesian-multilevel-modelling+json"
MODELS_IN_CELL = 5
LINES_APART = 8
DIGITS = 6


def source(shift=0):
    """Code that installs the probe in a kernel and leaves no name in the lesson's namespace."""
    here = Path(__file__).resolve()
    code = here.read_text(encoding="utf-8")
    names = {"__name__": "probe", "__file__": str(here)}
    return f"exec({code!r} + '\\nProbe({shift}).install()', {names!r})"


def describe(values):
    """Count, mean, sd, minimum, maximum, first and last of some numbers, as text."""
    import numpy as np

    values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan).ravel()
    finite = values[np.isfinite(values)]
    if not finite.size:
        return f"n {values.size}, none finite"
    scale = np.abs(finite).max()
    numbers = {
        "mean": finite.mean(),
        "sd": finite.std(),
        "min": finite.min(),
        "max": finite.max(),
        "first": finite[0],
        "last": finite[-1],
    }
    parts = [f"n {finite.size} of {values.size}"]
    for name, number in numbers.items():
        # What is 0 but for rounding differs from one machine to the next.
        number = 0.0 if abs(number) < 1e-9 * scale else number
        parts.append(f"{name} {number:#.{DIGITS}g}")
    return ", ".join(parts)


def describe_points(points):
    """The same for an array of points: one row a point, two columns."""
    import numpy as np

    points = np.ma.filled(np.ma.asarray(points, dtype=float), np.nan).reshape(-1, 2)
    return f"x: {describe(points[:, 0])}; y: {describe(points[:, 1])}"


def vertices(paths):
    """The corners of some paths, below one another."""
    import numpy as np

    corners = [path.vertices for path in paths if len(path.vertices)]
    return np.concatenate(corners) if corners else np.empty((0, 2))


def colour(artist):
    """The colour of an artist, or of its first part."""
    from matplotlib import colors

    for getter in ["get_color", "get_facecolor", "get_edgecolor"]:
        value = getattr(artist, getter, lambda: None)()
        if value is not None and len(value):
            parts = colors.to_rgba_array(value)
            if len(parts) and parts[0, 3] > 0:
                return colors.to_hex(parts[0])
    return "no colour"


def label(artist):
    """The label of an artist, "" if nobody gave it one."""
    given = str(artist.get_label())
    return "" if given.startswith("_") else given


def describe_lines(axes, place):
    """What the lines of some axes show; many lines of one kind are taken together."""
    import numpy as np
    from matplotlib.lines import AxLine

    kinds, found = {}, {}
    for line in axes.lines:
        style = f"{colour(line)} {line.get_linestyle()} {line.get_marker()}"
        points = line.get_xydata()
        if isinstance(line, AxLine):  # by a point and a slope, or by two points
            start, slope = np.array(line.get_xy1()), line.get_slope()
            end = line.get_xy2() if slope is None else start + np.array([1, slope])
            points = np.array([start, end])
        kinds.setdefault(f"{label(line)} ({style})", []).append(points)
    number = 0
    for kind, lines in kinds.items():
        if len(lines) > LINES_APART:
            lines = [np.concatenate(lines)]
            kind = f"{kind} many"
        for points in lines:
            number += 1
            found[f"{place}, line {number}"] = f"{kind} {describe_points(points)}"
    return found


def describe_figure(figure):
    """What a figure shows: a mapping of (axes, artist) to text."""
    from matplotlib.collections import PathCollection

    found = {}
    outer = [
        text.get_text()
        for text in [figure._suptitle, figure._supxlabel, figure._supylabel]
        if text
    ]
    outer += [text.get_text() for text in figure.texts]
    outer += [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    if any(outer):
        found["figure, texts"] = " | ".join(filter(None, outer))
    for number, axes in enumerate(figure.axes, start=1):
        place = f"axes {number}"
        titles = [axes.get_title(loc) for loc in ["left", "center", "right"]]
        title = " ".join(filter(None, titles))
        labels = [title, axes.get_xlabel(), axes.get_ylabel()]
        found[f"{place}, labels"] = " | ".join(labels)
        for name, axis in axes._axis_map.items():
            ticks = [tick.get_text() for tick in axis.get_ticklabels()]
            low, high = axis.get_view_interval()
            key = f"{place}, {name} axis"
            found[key] = f"{axis.get_scale()}, from {low:#.6g} to {high:#.6g}"
            found[f"{key}, ticks"] = " | ".join(ticks)
        if legend := axes.get_legend():
            texts = [legend.get_title(), *legend.get_texts()]
            keys = [colour(handle) for handle in legend.legend_handles]
            shown = [text.get_text() for text in texts]
            found[f"{place}, legend"] = " | ".join(shown + keys)
        found |= describe_lines(axes, place)
        for index, collection in enumerate(axes.collections, start=1):
            if isinstance(collection, PathCollection):
                points = collection.get_offsets()
            else:
                points = vertices(collection.get_paths())
            values = collection.get_array()
            style = colour(collection) if values is None else describe(values)
            key = f"{place}, {type(collection).__name__} {index}"
            found[key] = f"{label(collection)} ({style}) {describe_points(points)}"
        patches = {}
        for patch in axes.patches:
            kind = f"{type(patch).__name__} {colour(patch)}"
            path = patch.get_patch_transform().transform_path(patch.get_path())
            patches.setdefault(kind, []).append(path)
        for kind, paths in patches.items():
            points = describe_points(vertices(paths))
            found[f"{place}, patches {kind}"] = f"{len(paths)} with {points}"
        for index, image in enumerate(axes.images, start=1):
            found[f"{place}, image {index}"] = describe(image.get_array())
        for index, text in enumerate(axes.texts, start=1):
            x, y = (
                float(value)
                for value in axes.transData.inverted().transform(
                    text.get_transform().transform(text.get_unitless_position())
                )
            )
            found[f"{place}, text {index}"] = f"{text.get_text()} at {x:.4g}, {y:.4g}"
    return {key: " ".join(text.split()) for key, text in found.items()}


def describe_model(model):
    """The log density of each variable of a PyMC model at a fixed point: name to text.

    The point is on the unconstrained scale and differs from element to element, so that exchanged
    groups show. Discrete variables stay at their starting value. PyTensor evaluates in Python:
    nothing is compiled.
    """
    import numpy as np
    from pytensor.compile.mode import Mode

    point, count = model.initial_point(random_seed=0), 0
    for name, start in point.items():
        start = np.asarray(start)
        if start.dtype.kind == "f":
            places = count + np.arange(start.size).reshape(start.shape)
            point[name] = (0.3 * np.sin(1.7 * places + 0.5)).astype(start.dtype)
        count += start.size
    variables = [*model.basic_RVs, *model.potentials]
    densities = model.compile_fn(
        model.logp(vars=variables, sum=False),
        inputs=model.value_vars,
        mode=Mode(linker="py", optimizer=None),
        on_unused_input="ignore",
    )(point)
    found = {}
    for variable, density in zip(variables, densities):
        density = np.asarray(density)
        found[variable.name] = f"log density {density.sum():.9g} ({density.size} terms)"
    return found


def describe_fit(posterior):
    """Means and standard deviations of each variable of a posterior: name to text."""
    found = {}
    for name, draws in posterior.data_vars.items():
        means = draws.mean(("chain", "draw")).to_numpy()
        sds = draws.std(("chain", "draw")).to_numpy()
        text = f"sd {sds.mean():.5g}, mean {means.mean():.5g}"
        if means.size > 1:
            first, last = means.ravel()[[0, -1]]
            text += (
                f", first {first:.5g}, last {last:.5g}, sd of means {means.std():.5g}"
            )
        found[name] = text
    return found


class Probe:
    """The hooks in one kernel: figures, models, fits and the samplers' seeds."""

    def __init__(self, shift):
        self.shift = shift
        self.models, self.known, self.fits = [], {}, []

    def install(self):
        from IPython import get_ipython

        shell = get_ipython()
        figures = shell.display_formatter.mimebundle_formatter
        figures.for_type_by_name(
            "matplotlib.figure",
            "Figure",
            lambda figure, include=None, exclude=None: {MIME: describe_figure(figure)},
        )
        figures.for_type_by_name(
            "seaborn._core.plot",
            "Plot",
            lambda plot, include=None, exclude=None: {
                MIME: describe_figure(plot.plot()._figure)
            },
        )
        shell.events.register("pre_run_cell", lambda info: self.watch())
        shell.events.register("post_run_cell", lambda result: self.report())

    def watch(self):
        """Once the lesson has imported PyMC, notice its models and fits."""
        pm = sys.modules.get("pymc")
        if pm is None or hasattr(pm, "probed"):
            return
        pm.probed = True
        for name in ["sample", "sample_smc", "fit"]:
            setattr(pm, name, self.seeded(getattr(pm, name)))
        leave = pm.Model.__exit__

        def leave_and_remember(model, *arguments):
            if not any(model is other for other in self.models):
                self.models.append(model)
            return leave(model, *arguments)

        pm.Model.__exit__ = leave_and_remember

    def seeded(self, sampler):
        """The same sampler with its seed moved; it remembers what it returned."""
        import functools

        @functools.wraps(sampler)
        def run(*arguments, **settings):
            if isinstance(settings.get("random_seed"), int):
                settings["random_seed"] += self.shift
            result = sampler(*arguments, **settings)
            if hasattr(result, "children") and "posterior" in result.children:
                self.fits.append(describe_fit(result["posterior"]))
            return result

        return run

    def report(self):
        """Add to the outputs of the cell what its models and fits are."""
        from IPython.display import display

        found = {}
        for model in self.models[:MODELS_IN_CELL]:
            names = [v.name for v in [*model.basic_RVs, *model.potentials]]
            if self.known.get(id(model), (None, None))[1] == names:
                continue
            self.known[id(model)] = (model, names)
            number = len(self.known)
            try:
                densities = describe_model(model)
            except (NotImplementedError, TypeError, ValueError) as error:
                densities = {"log density": f"not evaluated, {type(error).__name__}"}
            for name, text in densities.items():
                found[f"model {number}, {name}"] = text
        for number, fit in enumerate(self.fits, start=1):
            for name, text in fit.items():
                found[f"fit {number} of the cell, {name}"] = text
        self.models, self.fits = [], []
        if found:
            display({MIME: found}, raw=True)
