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
TOOLS = (
    "sh awk cat chmod cmp dirname grep head ls mkdir mv nice nohup ps rm sed sleep tail"
)

# A Python that says it is VERSION; it makes a .venv that holds another one like it, and its pip
# and its uv write down that they ran and then do PIP and UV.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *"-m venv"*) mkdir -p .venv/bin && cat "$0" >.venv/bin/python && chmod +x .venv/bin/python ;;
    *"-m pip"*) echo "$*" >>pip-ran; {pip} ;;
    *"-m uv"*) echo "$*" >>uv-ran; {uv} ;;
    *check_install.py*) {check} ;;
    *warm.py*) echo "$* $(ps -o nice= -p $$)" >>warm-ran; echo garbled; exit 1 ;;
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


LOCK = """six==1.17.0 \\
    --hash=sha256:0
uv==0.13.9 \\
    --hash=sha256:1 \\
    --hash=sha256:2
    # via -r requirements.in
xarray==2026.10.0 \\
    --hash=sha256:3
"""


def text(name):
    """Read a file of the course."""
    return (ROOT / name).read_text("utf-8")


def write(path, content):
    """Write a file in the encoding of the course."""
    path.write_text(content, "utf-8")


class Course:
    """A copy of the set-up in a folder of its own, and a PATH that holds only what it may use."""

    def __init__(self, folder):
        self.root, self.bin = folder / "my course", folder / "bin"
        (self.root / "tools").mkdir(parents=True)
        self.bin.mkdir()
        shutil.copy(ROOT / "tools/setup.sh", self.root / "tools")
        write(self.root / "requirements.txt", LOCK)
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.command("df", FAKE_DF.format(free=9_000_000))

    def command(self, name, script):
        """Put a command on the PATH."""
        path = self.bin / name
        path.unlink(missing_ok=True)  # it may be a link to the system's own
        write(path, script)
        path.chmod(0o755)

    def python(self, name, version, **does):
        """Put a Python on the PATH; `pip`, `uv` and `check` are what these do there."""
        does = {"pip": "true", "uv": "true", "check": "true"} | does
        self.command(
            name, FAKE_PYTHON.format(python=sys.executable, version=version, **does)
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
            encoding="utf-8",
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def set_up(self, *arguments):
        """Run the set-up; return its exit status and what it wrote to both streams."""
        process = self.start(*arguments)
        out, error = process.communicate(timeout=60)
        return process.returncode, out, error

    def fails(self, leaves=None):
        """Run the set-up, see that it fails and what it leaves; return its one line.

        `leaves` is what .venv must still be, as `state` tells; None says that there is none.
        """
        status, _, error = self.set_up()
        assert status == 1
        assert error.count("\n") == 1, error
        assert self.state() == leaves
        assert not (self.root / ".venv.old").exists()
        return error

    def state(self):
        """The files of .venv with their contents, or None."""
        folder = self.root / ".venv"
        if not folder.exists():
            return None
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def change_lock(self):
        """Make the lock ask for something else."""
        write(self.root / "requirements.txt", LOCK.replace("six==1.17", "six==1.18"))

    def ran(self, what):
        """The arguments of all calls of pip, uv or warm."""
        path = self.root / f"{what}-ran"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    @property
    def installations(self):
        """How many times uv ran."""
        return len(self.ran("uv"))


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
    course.change_lock()
    assert course.set_up()[0] == 0
    assert course.installations == 2
    assert not (course.root / ".venv.old").exists()


@posix
def test_pip_installs_the_uv_of_the_lock_and_uv_the_rest(course):
    course.python(
        "python3.13", (3, 13, 0), pip="while [ $# -gt 1 ]; do shift; done; cat $1 >uv"
    )
    assert course.set_up()[0] == 0
    assert (course.root / "uv").read_text("utf-8") == LOCK[
        LOCK.index("uv==") : LOCK.index("xarray")
    ]
    for tool in ["pip", "uv"]:
        assert len(course.ran(tool)) == 1
        assert "--require-hashes --only-binary :all: " in course.ran(tool)[0]
    assert course.ran("uv")[0].endswith(" requirements.txt")


@posix
def test_where_uv_finds_no_index_pip_tries(course):
    course.python("python3.13", (3, 13, 0), uv="echo error: Request failed >&2; exit 2")
    assert course.set_up()[0] == 0
    assert course.ran("pip")[1].endswith("--only-binary :all: -r requirements.txt")


@posix
def test_kernels_are_compiled_in_the_background_and_nothing_depends_on_it(course):
    course.python("python3.13", (3, 13, 0))
    status, out, error = course.set_up()
    assert (status, out.count("\n"), error) == (0, 1, "")
    wait_for(course.root / "warm-ran")
    time.sleep(0.2)
    (call,) = course.ran("warm")
    assert re.match(r"tools/warm.py --shared +[1-9]", call), "its niceness is above 0"
    course.set_up()
    assert len(course.ran("warm")) == 1


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
    without = "import sys; sys.modules['venv'] = None;"
    write(path, path.read_text("utf-8").replace("import sys;", without))
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
            "the installer says \"Invalid requirement: '<<<<<<< HEAD'\"",
        ),
    ],
)
def test_a_failing_pip_is_explained(course, pip_says, line):
    write(course.root / "pip-says", pip_says + "\n")
    course.python("python3.13", (3, 13, 0), pip="cat pip-says >&2; exit 1")
    assert line in course.fails()


@posix
@pytest.mark.parametrize(
    ("uv_says", "line"),
    [
        (
            "error: Failed to download `six==1.17.0`\n"
            "  cause: Hash mismatch for `six==1.17.0`\n\n         Expected:",
            "hash mismatch: six==1.17.0 is not the file",
        ),
        (
            "error: Failed to install: six.whl\n"
            "  cause: failed to copy file: No space left on device (os error 28)",
            "disk is full",
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because six==9 has no "
            "wheels with a matching platform tag (`x`) and you require six==9, we can conclude",
            "six==9 has no wheels with a matching platform tag (`x`) on this system",
        ),
    ],
)
def test_a_failing_uv_is_explained(course, uv_says, line):
    write(course.root / "uv-says", uv_says + "\n")
    course.python("python3.13", (3, 13, 0), uv="cat uv-says >&2; exit 2")
    assert line in course.fails()
    assert len(course.ran("pip")) == 1, "pip need not try what cannot be"


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


def interrupt(course, signal_number):
    """Start the set-up, stop it while uv runs; return its exit status and its errors."""
    course.python("python3.13", (3, 13, 0), uv="exec sleep 60")
    (course.root / "uv-ran").unlink(missing_ok=True)
    process = course.start()
    wait_for(course.root / "uv-ran")
    os.killpg(process.pid, signal_number)
    _, error = process.communicate(timeout=10)
    return process.returncode, error


@posix
def test_ctrl_c_leaves_nothing(course):
    assert interrupt(course, signal.SIGINT) == (
        130,
        "Set-up stopped: .venv removed, run make again.\n",
    )
    assert course.state() is None


@pytest.fixture
def outdated(course):
    """A course with a .venv for a lock that has changed since."""
    course.python("python3.13", (3, 13, 0))
    assert course.set_up()[0] == 0
    course.change_lock()
    return course


KEPT = "Until then the .venv of before works.\n"


@posix
@pytest.mark.parametrize("step", ["pip", "uv"])
def test_a_failed_update_keeps_what_worked(outdated, step):
    before = outdated.state()
    outdated.python(
        "python3.13", (3, 13, 0), **{step: "echo ERROR: No space left >&2; exit 1"}
    )
    assert outdated.fails(before).endswith("and run make again. " + KEPT)
    outdated.python("python3.13", (3, 13, 0))
    assert outdated.set_up()[0] == 0
    assert b"six==1.18" in (outdated.root / ".venv/made-from").read_bytes()


@posix
def test_an_update_that_cannot_begin_keeps_what_worked(outdated):
    before = outdated.state()
    outdated.command("df", FAKE_DF.format(free=1_024_000))
    assert outdated.fails(before).endswith(KEPT)
    outdated.command("df", FAKE_DF.format(free=9_000_000))
    outdated.command("mkdir", "#!/bin/sh\nexit 1\n")
    assert "cannot write to" in (line := outdated.fails(before))
    assert line.endswith(KEPT)


@posix
def test_ctrl_c_during_an_update_keeps_what_worked(outdated):
    before = outdated.state()
    assert interrupt(outdated, signal.SIGINT) == (
        130,
        "Set-up stopped: the .venv of before is back, run make again.\n",
    )
    assert outdated.state() == before
    assert not (outdated.root / ".venv.old").exists()


@posix
def test_a_venv_that_cannot_be_removed_at_once_does_not_cost_the_old_one(outdated):
    before = outdated.state()
    refuses = "[ -f refused ] || case $* in *.venv) echo >refused; {rm} .venv/maker; exit 1 ;; esac"
    rm = shutil.which("rm")
    outdated.command("rm", f'#!/bin/sh\n{refuses.format(rm=rm)}\nexec {rm} "$@"\n')
    outdated.python("python3.13", (3, 13, 0), uv="exit 1", pip="exit 1")
    assert outdated.fails(before).endswith(KEPT)


@posix
def test_after_a_killed_update_the_next_run_brings_back_what_worked(outdated):
    before = outdated.state()
    assert interrupt(outdated, signal.SIGKILL)[0] == -signal.SIGKILL
    assert outdated.state() != before
    outdated.command("python3.13", "#!/bin/sh\nexit 1\n")
    assert outdated.fails(before).endswith(KEPT)


@posix
def test_a_kill_at_the_very_end_of_an_update_leaves_only_the_new(course):
    course.python("python3.13", (3, 13, 0))
    assert course.set_up()[0] == 0
    shutil.copytree(course.root / ".venv", course.root / ".venv.old")
    (course.root / ".venv.old/made-from").unlink()
    assert course.set_up() == (0, "", "")
    assert not (course.root / ".venv.old").exists()
    assert course.installations == 1


@posix
@pytest.mark.parametrize("python", [True, False])
def test_a_venv_made_by_hand_is_not_touched(course, python):
    (course.root / ".venv/bin").mkdir(parents=True)
    write(course.root / ".venv/pyvenv.cfg", "home = /usr/bin\n")
    course.python("python3.13", (3, 13, 0), check="echo missing jax; exit 1")
    if python:
        shutil.copy(course.bin / "python3.13", course.root / ".venv/bin/python")
    lacks = "missing jax" if python else "its Python does not run"
    line = course.fails(course.state())
    assert f"make did not make, lacks what requirements.txt asks for ({lacks}):" in line
    assert "move .venv away (mv .venv my-venv), and run make again." in line
    assert course.installations == 0


@posix
def test_a_venv_made_by_hand_is_used_if_it_has_all(course):
    course.python("python3.13", (3, 13, 0))
    (course.root / ".venv/bin").mkdir(parents=True)
    shutil.copy(course.bin / "python3.13", course.root / ".venv/bin/python")
    before = course.state()
    status, out, error = course.set_up()
    assert (status, error) == (0, "")
    assert out.startswith("Using .venv as it is: make did not make it")
    assert course.state() == before
    assert course.installations == 0


@posix
def test_two_at_once_do_not_meet_and_a_killed_one_is_made_afresh(course):
    course.python("python3.13", (3, 13, 0), uv="exec sleep 60")
    process = course.start()
    wait_for(course.root / "uv-ran")
    status, _, error = course.set_up()
    assert status == 1
    assert f"process {process.pid} is making .venv at this moment" in error
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)
    assert (course.root / ".venv").exists()
    course.python("python3.13", (3, 13, 0))
    assert course.set_up()[0] == 0
    assert (course.root / ".venv/made-from").exists()


@posix
@pytest.mark.parametrize("now", ["python3", "[setup.sh] <defunct>"])
def test_the_number_of_a_dead_set_up_may_be_another_process_now(course, now):
    course.python("python3.13", (3, 13, 0))
    course.command("ps", f"#!/bin/sh\necho '{now}'\n")
    (course.root / ".venv").mkdir()
    write(course.root / ".venv/maker", str(os.getpid()))
    assert course.set_up()[0] == 0


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
    write(copy / "requirements.in", name + "\n")
    write(copy / "requirements.txt", f"{name}=={version} \\\n    --hash=sha256:0\n")


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
            lambda copy: write(copy / "data" / DATA, "x"),
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
        encoding="utf-8",
    )
    assert line in run.stdout, run.stdout + run.stderr
    assert run.returncode == (0 if "Ready" in run.stdout else 1)
    assert run.returncode == 0 or run.stderr.startswith("Not ready: ")


def test_warming_a_day_that_is_not_there_is_said():
    command = [sys.executable, ROOT / "tools/warm.py", "99"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert run.returncode == 1
    assert run.stderr.startswith("There is no day 99: give the number of a day")
