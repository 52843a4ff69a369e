"""The files in data/ are the ones on record, and are what data/README.md says they are."""

import hashlib
import importlib.util
import re

import pandas as pd
import pytest
from lessons import LESSONS, ROOT, bibliography

DATA = ROOT / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+\.csv)\n(.*?)(?=^## |\Z)", README, re.M | re.S))
RECORD = dict(
    line.split()[::-1]
    for line in (DATA / "checksums.sha256").read_text("utf-8").splitlines()
)
PUBLISHED = "published.csv"
COLUMNS = [
    "lesson",
    "model",
    "quantity",
    "value",
    "uncertainty",
    "kind",
    "source",
    "place",
]
IS_TYPE = {
    "integer": pd.api.types.is_integer_dtype,
    "number": pd.api.types.is_numeric_dtype,
    "text": pd.api.types.is_string_dtype,
}

spec = importlib.util.spec_from_file_location("build_data", DATA / "build_data.py")
build_data = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build_data)


def complain(problems):
    """Fail with one line for each problem."""
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def existing(name):
    """The path of a file in data/, which must be there."""
    if not (DATA / name).exists():
        complain(
            [f"data/{name} is missing; bring it back with: git restore data/{name}"]
        )
    return DATA / name


def differences(name, table):
    """What a table has that its section of data/README.md does not say, a line for each."""
    section = SECTIONS.get(name, "")
    rows = re.search(r"^- Rows: ([\d,]*\d)", section, re.M)
    documented = re.findall(
        r"^\| `(\w+)` \| (integer|number|text) \| (.+?) \|", section, re.M
    )
    if not rows or not documented:
        return [
            f"data/README.md needs a section '## {name}' with a table and a line '- Rows: N'"
        ]
    if list(table.columns) != [column for column, _, _ in documented]:
        return [
            f"data/{name} has the columns {', '.join(table.columns)}; data/README.md differs"
        ]
    found = []
    if len(table) != int(rows[1].replace(",", "")):
        found.append(
            f"data/{name} has {len(table)} rows; data/README.md says {rows[1]}"
        )
    for column, kind, values in documented:
        where = f"data/{name}, column {column}"
        if table[column].isna().any():
            found.append(f"{where}: {table[column].isna().sum()} values are missing")
        elif not IS_TYPE[kind](table[column]):
            found.append(
                f"{where}: holds {table[column].dtype}; data/README.md says {kind}"
            )
        elif values != (seen := summary(table[column], kind, values)):
            found.append(f"{where}: holds {seen}; data/README.md says {values}")
    return found


def summary(column, kind, values):
    """The values of a column in the words of the tables in data/README.md."""
    if kind != "text":
        return f"{column.min():g} to {column.max():g}"
    if values == "all different":
        return values if column.is_unique else "the same text twice"
    if re.fullmatch(r"\d+ different", values):
        return f"{column.nunique()} different"
    return ", ".join(f"`{level}`" for level in column.unique())


@pytest.mark.parametrize("name", sorted(RECORD))
def test_file_is_the_one_on_record(name):
    path = existing(name)
    if hashlib.sha256(path.read_bytes()).hexdigest() != RECORD[name]:
        complain(
            [
                f"data/{name} is not the file on record in data/checksums.sha256; "
                f"undo with: git restore data/{name} -- or, if you mean the change: "
                f".venv/bin/uv run data/build_data.py --record {path.stem}"
            ]
        )
    complain(differences(name, pd.read_csv(path)))


@pytest.mark.parametrize(
    "name", sorted({p.name for p in DATA.glob("*.csv")} - {PUBLISHED})
)
def test_file_is_accounted_for(name):
    missing = []
    if name not in RECORD:
        missing.append("a checksum (build_data.py --record)")
    if name not in SECTIONS:
        missing.append("a section in data/README.md")
    if name.removesuffix(".csv") not in build_data.BUILDERS:
        missing.append("a function in data/build_data.py")
    complain([f"data/{name} lacks {' and '.join(missing)}"] if missing else [])


def test_lessons_and_readme_agree_on_who_reads_what():
    problems = []
    for path in LESSONS:
        lesson = path.relative_to(ROOT).with_suffix("").as_posix()
        for name in set(
            re.findall(r"\.\./data/(\w+\.csv)", path.read_text(encoding="utf-8"))
        ):
            if name not in SECTIONS:
                problems.append(
                    f"{lesson} reads data/{name}, which data/README.md does not list"
                )
            elif name != PUBLISHED and f"`{lesson}`" not in SECTIONS[name]:
                problems.append(
                    f"data/README.md does not say that {lesson} reads data/{name}"
                )
    complain(problems)


def test_published_numbers_are_well_formed():
    table = pd.read_csv(existing(PUBLISHED))
    if list(table.columns) != COLUMNS:
        complain([f"data/{PUBLISHED} must have the columns {', '.join(COLUMNS)}"])
    problems = [
        f"data/{PUBLISHED}, column {column}: not a number in every row"
        for column in ("value", "uncertainty")
        if not pd.api.types.is_numeric_dtype(table[column])
    ]
    complain(problems)
    rules = {
        "a cell is empty": table.isna().any(axis=1),
        "uncertainty must be above 0": table.uncertainty <= 0,
        "lesson must look like day2_name/02_topic": ~table.lesson.str.fullmatch(
            r"day[1-5]_[a-z]+/\d\d_[a-z0-9_]+", na=False
        ),
        "kind must be published or recomputed": ~table.kind.isin(
            ["published", "recomputed"]
        ),
        "source is not in guide/bibliography.md": ~table.source.isin(bibliography()),
        "the same number stands here twice": table.duplicated(
            ["lesson", "model", "quantity", "kind", "source"]
        ),
    }
    for rule, broken in rules.items():
        for row in table.index[broken]:
            problems.append(f"data/{PUBLISHED}, line {row + 2}: {rule}")
    complain(problems)


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """build_data.py in an empty folder, with one file to build."""
    table = pd.DataFrame({"name": ["a", "é"], "size": [1, 2.5]})
    monkeypatch.setattr(build_data, "BUILDERS", {"toy": lambda: table})
    monkeypatch.setattr(build_data, "DATA", tmp_path)
    (tmp_path / "checksums.sha256").touch()
    return tmp_path


def test_build_writes_records_and_checks(toy, capsys):
    build_data.main([])
    assert (toy / "toy.csv").read_bytes() == "name,size\na,1.0\né,2.5\n".encode()
    assert capsys.readouterr().out == "data/toy.csv: written, NOT the file on record\n"
    build_data.main(["--record"])
    build_data.main(["data/toy.csv"])
    assert capsys.readouterr().out == "data/toy.csv: written, as on record\n"
    build_data.main(["--check"])
    (toy / "toy.csv").write_text("name,size\na,1.0\n", "utf-8")
    with pytest.raises(
        SystemExit, match=r"^build_data: data/toy\.csv is not what its source"
    ):
        build_data.main(["--check"])
    (toy / "toy.csv").unlink()
    with pytest.raises(SystemExit, match=r"git restore data/toy\.csv$"):
        build_data.main(["--check"])
    assert sorted(path.name for path in toy.iterdir()) == ["checksums.sha256"]


def test_build_stops_with_one_line(toy, monkeypatch):
    with pytest.raises(SystemExit, match=r"no file nonesuch; there are toy$"):
        build_data.main(["nonesuch"])
    with pytest.raises(SystemExit, match=r"toy\.csv does not exist; build it first$"):
        build_data.main(["--record"])
    with pytest.raises(SystemExit, match=r"^build_data: no-such-command is not here"):
        build_data.run("no-such-command", "download", cwd=toy)
    monkeypatch.setitem(
        build_data.BUILDERS, "toy", lambda: __import__("no_such_package")
    )
    with pytest.raises(SystemExit, match=r"no_such_package is not installed; use: "):
        build_data.main([])
    assert not (toy / "toy.csv").exists()
