"""Draw the pictures of the landing page from the book's data: `python tools/pictures.py`."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[1]
PAPER, INK, BLUE, ORANGE, GREY = "#fcfbf8", "#3d4750", "#0072b2", "#d55e00", "#8a949d"
WIDTH, HEIGHT = 320, 160


def svg(name, *shapes, width=WIDTH, height=HEIGHT):
    """Write a picture on the paper of the book's figures."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    body = "\n".join(shapes)
    text = (
        f'{head} width="{width}" height="{height}">\n'
        f'<rect width="100%" height="100%" fill="{PAPER}"/>\n{body}\n</svg>\n'
    )
    (ROOT / "_static" / f"{name}.svg").write_text(text, "utf-8", newline="\n")


def line(x, y, colour=ORANGE, width=1.0, opacity=1.0, fill="none"):
    """A line through points given in units of the picture."""
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<polyline points="{points}" fill="{fill}" stroke="{colour}" '
        f'stroke-width="{width}" stroke-linejoin="round" opacity="{opacity}"/>'
    )


def dots(x, y, colour=ORANGE, radius=1.6, opacity=0.6):
    """Dots at points given in units of the picture."""
    circles = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}"/>'
        for a, b in zip(x, y, strict=True)
    )
    return f'<g fill="{colour}" opacity="{opacity}">{circles}</g>'


def across(values, low, high, start=12, end=WIDTH - 12):
    """Values between low and high as places between start and end."""
    return start + (np.asarray(values) - low) / (high - low) * (end - start)


def up(values, top, floor=HEIGHT - 14, room=HEIGHT - 30):
    """Values between 0 and top as heights above the floor."""
    return floor - np.asarray(values) / top * room


def density(x, y, low, high, top, **style):
    """A curve over its values."""
    return line(across(x, low, high), up(y, top), **style)


def shrinkage():
    """Mean log radon of 85 counties, each county alone and pooled, with moments for the sds."""
    radon = pd.read_csv(ROOT / "data/radon.csv")
    counties = radon.groupby("county")["log_radon"]
    size, mean = counties.size(), counties.mean()
    within = (counties.var() * (size - 1)).sum() / (size.sum() - len(size))
    between = mean.var() - (within / size).mean()
    weight = between / (between + within / size)
    centre = np.average(mean, weights=weight)
    pooled = centre + weight * (mean - centre)
    order = size.sort_values(ascending=False).index
    upper, lower = (across(x[order], 0.2, 2.75, 20, 500) for x in (mean, pooled))
    top, bottom, middle = 44, 216, across(centre, 0.2, 2.75, 20, 500)
    few = (size[order] < 5).to_numpy()
    threads = [
        f'<path d="M{a:.1f} {top}C{a:.1f} {top + 80} {b:.1f} {bottom - 80} {b:.1f} '
        f'{bottom}" stroke="{ORANGE if is_small else BLUE}"/>'
        for a, b, is_small in zip(upper, lower, few, strict=True)
    ]
    marks = [
        dots(x[those], np.full(those.sum(), y), colour, 2.8, 0.8)
        for x, y in [(upper, top), (lower, bottom)]
        for those, colour in [(few, ORANGE), (~few, BLUE)]
    ]
    svg(
        "shrinkage",
        f'<path d="M{middle:.1f} {top - 14}V{bottom + 14}" stroke="{GREY}" '
        'stroke-dasharray="4 4"/>',
        f'<g fill="none" stroke-width="1.2" opacity="0.6">{"".join(threads)}</g>',
        *marks,
        f'<g fill="{INK}" font-family="system-ui, sans-serif" font-size="20">'
        '<text x="20" y="24">each county alone</text>'
        f'<text x="20" y="{bottom + 34}">all together</text>'
        f'<text x="372" y="24" text-anchor="end" fill="{BLUE}">many houses</text>'
        f'<text x="500" y="24" text-anchor="end" fill="{ORANGE}">few houses</text>'
        "</g>",
        width=520,
        height=260,
    )


def day_1():
    """Prior, likelihood and posterior of the coin that came up heads 139 times of 250."""
    x = np.linspace(0.35, 0.75, 101)
    curves = [(100, 100, GREY, 2), (140, 112, ORANGE, 2), (239, 211, BLUE, 3.5)]
    svg(
        "day1",
        *(
            density(
                x, stats.beta.pdf(x, a, b), 0.35, 0.75, 17.5, colour=colour, width=width
            )
            for a, b, colour, width in curves
        ),
    )


def day_2():
    """Tumour rates of 71 experiments, each with its posterior, and their population."""
    rats = pd.read_csv(ROOT / "data/rat_tumours.csv")[["tumours", "rats"]]
    a, b = 2.4, 14.3  # posterior means of Gelman et al. (2014), chapter 5
    x = np.linspace(0, 0.45, 61)
    groups = [
        density(x, y, 0, 0.45, 14, opacity=0.35)
        for y in (
            stats.beta.pdf(x, a + row.tumours, b + row.rats - row.tumours)
            for row in rats.drop_duplicates().itertuples()
        )
    ]
    population = density(
        x, stats.beta.pdf(x, a, b), 0, 0.45, 14, colour=BLUE, width=3.5
    )
    svg("day2", *groups, population)


def day_3():
    """Reaction times of 18 people short of sleep, with a least-squares line for each."""
    sleep = pd.read_csv(ROOT / "data/sleepstudy.csv")
    days = np.array([0, 9])

    def place(x, y):
        return across(x, -0.3, 9.3), up(np.asarray(y) - 180, 300)

    def drawn(group, **style):
        return line(
            *place(
                days, np.poly1d(np.polyfit(group["days"], group["reaction"], 1))(days)
            ),
            **style,
        )

    people = [drawn(group, opacity=0.75) for _, group in sleep.groupby("subject")]
    points = dots(*place(sleep["days"], sleep["reaction"]), GREY, opacity=0.55)
    svg("day3", points, *people, drawn(sleep, colour=BLUE, width=3.5))


def day_4():
    """Curves of a multilevel logistic regression: groups around their population."""
    x = np.linspace(-6, 6, 61)
    groups = [
        density(x, 1 / (1 + np.exp(-slope * (x - shift))), -6, 6, 1, opacity=0.8)
        for shift, slope in zip(
            stats.norm.ppf((np.arange(9) + 0.5) / 9, 0, 2),
            [0.9, 1.3, 0.8, 1.1, 1.4, 0.9, 1.2, 0.8, 1.1],
            strict=True,
        )
    ]
    population = density(
        x, 1 / (1 + np.exp(-0.8 * x)), -6, 6, 1, colour=BLUE, width=3.5
    )
    yes, no = (
        np.array([-1, 0.6, 1.7, 2.4, 3.3, 4.4, 5.2]),
        np.array([-5.4, -4.5, -3.7, -2.6, -1.8, -0.4, 1.2]),
    )
    answers = [
        dots(across(place, -6, 6), np.full(7, up(y, 1)), GREY, 2.6)
        for place, y in [(yes, 1), (no, 0)]
    ]
    svg("day4", *answers, *groups, population)


def day_5():
    """A mixture of two normal distributions, and its two parts."""
    x = np.linspace(-4, 7, 111)
    parts = 0.55 * stats.norm.pdf(x, 0, 1.1), 0.45 * stats.norm.pdf(x, 3.2, 1.2)
    svg(
        "day5",
        *(density(x, part, -4, 7, 0.24, width=2) for part in parts),
        density(x, sum(parts), -4, 7, 0.24, colour=BLUE, width=3.5),
    )


if __name__ == "__main__":
    for picture in shrinkage, day_1, day_2, day_3, day_4, day_5:
        picture()
