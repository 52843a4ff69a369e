"""The set-up with stand-ins for Python, pip and df; the lock; the self-check; Python's version."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = "sh awk cat chmod cmp dirname grep mkdir mv rm sed sleep tail"

# A Python that says it is VERSION; it makes a .venv that holds another one like it, and its pip
# writes down that it ran and then does PIP.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *"-m venv"*) mkdir -p .venv/bin && cat "$0" >.venv/bin/python && chmod +x .venv/bin/python ;;
    *"-m pip"*) echo ran >>pip-ran; {pip} ;;
    *) exec "{python}" -I -c "import sys; sys.version_info, sys.executable = {version}, '$0'; $3" ;;
esac
"""
FAKE_DF = """#!/bin/sh
echo Filesystem 1024-blocks Used Available Capacity Mounted on
echo /dev/my disk 9999999 1 {free} 1% /my home
"""

posix = pytest.mark.skipif(
    os.name == "nt", reason="tools/setup.sh is for Linux and macOS"
)


def text(name):
    """Read a file of the course."""
    return (ROOT / name).read_text("utf-8")


class Course:
    """A copy of the set-up in a folder of its own, and a PATH that holds only what it may use."""

    def __init__(self, folder):
        self.root, self.bin = folder / "my course", folder / "bin"
        (self.root / "tools").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "tools/setup.sh", self.root / "tools")
        (self.root / "requirements.txt").write_text("six==1.17.0 --hash=sha256:0\n")
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.command("df", FAKE_DF.format(free=9_000_000))

    def command(self, name, script):
        """Put a command on the PATH."""
        path = self.bin / name
        path.write_text(script)
        path.chmod(0o755)

    def python(self, name, version, pip="true"):
        """Put a Python on the PATH."""
        self.command(
            name, FAKE_PYTHON.format(python=sys.executable, version=version, pip=pip)
        )

    def start(self, *arguments):
        """Start the set-up in a process group of its own, as a terminal does.

        If the tests run in the background of a script, they ignore Ctrl-C, and a child would too.
        """
        return subprocess.Popen(
            [self.root / "tools/setup.sh", *arguments],
            env={"PATH": str(self.bin)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def set_up(self, *arguments):
        """Run the set-up; return its exit status and what it wrote to both streams."""
        process = self.start(*arguments)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def fails(self):
        """Run the set-up, see that it fails and leaves nothing; return its one line."""
        status, _, error = self.set_up()
        assert status == 1
        assert error.count("\n") == 1, error
        assert not (self.root / ".venv").exists()
        return error

    @property
    def installations(self):
        """How many times pip ran."""
        path = self.root / "pip-ran"
        return len(path.read_text().split()) if path.exists() else 0


@pytest.fixture
def course(tmp_path):
    return Course(tmp_path)


@posix
def test_a_second_call_installs_nothing(course):
    course.python("python3.13", (3, 13, 0))
    assert course.set_up()[0] == 0
    assert (course.root / ".venv/made-from").exists()
    started = time.monotonic()
    assert course.set_up() == (0, "", "")
    assert time.monotonic() - started < 5
    assert course.installations == 1


@posix
def test_a_changed_lock_installs_again(course):
    course.python("python3.13", (3, 13, 0))
    course.set_up()
    with (course.root / "requirements.txt").open("a") as lock:
        lock.write("toolz==1.1.0 --hash=sha256:0\n")
    assert course.set_up()[0] == 0
    assert course.installations == 2


@posix
def test_a_venv_whose_python_is_gone_is_made_again(course):
    course.python("python3.13", (3, 13, 0))
    course.set_up()
    (course.root / ".venv/bin/python").unlink()
    assert course.set_up()[0] == 0
    assert course.installations == 2


@posix
def test_an_old_python_is_named(course):
    course.python("python3", (3, 11, 7))
    line = course.fails()
    assert f"found Python 3.11.7 at {course.bin}/python3;" in line
    assert "needs Python 3.12, 3.13 or 3.14" in line
    assert course.installations == 0


@posix
def test_a_python_that_is_too_new_is_named(course):
    course.python("python3", (3, 15, 0))
    assert "found Python 3.15.0 at" in course.fails()


@posix
def test_no_python_is_said(course):
    assert "found no Python" in course.fails()


@posix
def test_a_python_without_venv_is_named(course):
    course.python("python3.12", (3, 12, 3))
    path = course.bin / "python3.12"
    path.write_text(
        path.read_text().replace(
            "import sys;", "import sys; sys.modules['venv'] = None;"
        )
    )
    assert "found Python 3.12.3" in (line := course.fails())
    assert "apt install python3-venv" in line


@posix
def test_a_command_that_does_not_run_is_passed_over(course):
    course.command(
        "python3.13",
        "#!/bin/sh\necho pyenv: python3.13: command not found >&2\nexit 127\n",
    )
    course.python("python3.12", (3, 12, 1))
    course.python("python3", (3, 11, 7))
    assert course.set_up("--python") == (0, f"{course.bin}/python3.12\n", "")


@posix
@pytest.mark.parametrize(
    ("pip_says", "line"),
    [
        (
            "ERROR: No matching distribution found for six==9",
            "found for six==9 on this system",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. Beware.\n"
            "    six==1.17.0 from six-1.17.0.whl (from -r requirements.txt):\n"
            "        Expected sha256 1",
            "hash mismatch: six==1.17.0 is not the file",
        ),
        (
            "ERROR: Could not install packages due to an OSError: No space left on device",
            "disk is full",
        ),
        ("WARNING: Retrying (Retry(total=0)) after connection broken", "no network"),
        (
            "ERROR: Invalid requirement: '<<<<<<< HEAD'",
            "Invalid requirement: '<<<<<<< HEAD'",
        ),
    ],
)
def test_a_failing_pip_is_explained(course, pip_says, line):
    (course.root / "pip-says").write_text(pip_says + "\n")
    course.python("python3.13", (3, 13, 0), pip="cat pip-says >&2; exit 1")
    assert line in course.fails()


@posix
def test_a_full_disk_is_noticed_before_anything_is_made(course):
    course.python("python3.13", (3, 13, 0))
    course.command("df", FAKE_DF.format(free=1_024_000))
    assert "1000 MB free" in course.fails()
    assert course.installations == 0


def wait_for(path):
    """Wait until a file exists."""
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@posix
def test_ctrl_c_leaves_nothing(course):
    course.python("python3.13", (3, 13, 0), pip="exec sleep 60")
    process = course.start()
    wait_for(course.root / "pip-ran")
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert error == "Set-up stopped: .venv removed, run make again.\n"
    assert not (course.root / ".venv").exists()


@posix
def test_two_at_once_do_not_meet_and_a_killed_one_is_made_afresh(course):
    course.python("python3.13", (3, 13, 0), pip="exec sleep 60")
    process = course.start()
    wait_for(course.root / "pip-ran")
    status, _, error = course.set_up()
    assert status == 1
    assert f"process {process.pid} is making .venv at this moment" in error
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert (course.root / ".venv").exists()
    course.python("python3.13", (3, 13, 0))
    assert course.set_up()[0] == 0
    assert (course.root / ".venv/made-from").exists()


def test_all_files_name_the_same_python():
    series = text(".python-version").strip()
    assert series == "3.13"
    assert text("runtime.txt").strip() == f"python-{series}"
    setup = text("tools/setup.sh")
    assert "(3, 12) <= sys.version_info[:2] < (3, 15)" in setup
    assert f"for name in python{series} python3.12 python3.14 python3;" in setup
    assert "OLDEST, NEWEST = (3, 12), (3, 14)" in text("tools/check_install.py")
    assert "--python-version 3.12 " in (lock := text("tools/lock.sh"))
    assert 'pythons="3.12 3.13 3.14"' in lock
    readme = text("README.md")
    assert f"Python {series}" in readme
    assert "3.12" in readme


def test_the_lock_is_whole():
    """Every direct dependency has a reason and a pin, every pin a hash; no address is in them."""
    wanted = text("requirements.in")
    lock = text("requirements.txt")
    assert "://" not in wanted + lock
    assert "#    make lock\n" in lock
    pins = re.split(r"\n(?=[a-z])", lock)[1:]
    assert len(pins) > 100
    pinned = set()
    for pin in pins:
        match = re.match(
            r"([a-z0-9-]+)==\S+(?: ; .*)? \\\n +--hash=sha256:[0-9a-f]{64}", pin
        )
        assert match, pin
        pinned.add(match[1])
    for line in wanted.splitlines():
        if line and not line.startswith("#"):
            assert re.match(r"[\w.-]+", line)[0].lower() in pinned, line
            assert "#" in line, f"requirements.in, {line}: say why it is needed"


def pin(copy, version, name="pandas"):
    """Make a copy of the lock ask for another version of one package."""
    (copy / "requirements.in").write_text(name + "\n")
    (copy / "requirements.txt").write_text(
        f"{name}=={version} \\\n    --hash=sha256:0\n"
    )


DATA = text("data/checksums.sha256").split()[1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param(
            lambda copy: None, "Ready: everything the course needs", id="all there"
        ),
        pytest.param(
            lambda copy: (copy / "data" / DATA).unlink(),
            f"missing  data/{DATA}",
            id="no file",
        ),
        pytest.param(
            lambda copy: (copy / "data" / DATA).write_text("x"),
            f"altered  data/{DATA}",
            id="altered file",
        ),
        pytest.param(lambda copy: pin(copy, "99.0"), "(99.0 is needed)", id="too old"),
        pytest.param(
            lambda copy: pin(copy, "1.0", "absent"),
            "missing  absent (1.0 is",
            id="missing",
        ),
        pytest.param(
            lambda copy: pin(copy, "0.1"), "newer than the tested 0.1", id="newer"
        ),
        pytest.param(
            lambda copy: pin(copy, "99.0 ; python_full_version < '3.12'"),
            "Ready: ",
            id="marker",
        ),
    ],
)
def test_the_self_check(tmp_path, change, line):
    for name in ["requirements.in", "requirements.txt", "data/checksums.sha256"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for path in (ROOT / "data").glob("*.csv"):
        shutil.copy(path, tmp_path / "data")
    (tmp_path / "tools").mkdir()
    check = text("tools/check_install.py")
    check = re.sub("^SLOW_TO_START = .*", 'SLOW_TO_START = ["json"]', check, flags=re.M)
    (tmp_path / "tools/check_install.py").write_text(check, "utf-8")
    change(tmp_path)
    run = subprocess.run(
        [sys.executable, tmp_path / "tools/check_install.py"],
        capture_output=True,
        text=True,
    )
    assert line in run.stdout, run.stdout + run.stderr
    assert run.returncode == (0 if "Ready" in run.stdout else 1)
    assert run.returncode == 0 or run.stderr.startswith("Not ready: ")
