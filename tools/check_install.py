"""Tell a reader what is missing or too old on this computer: python tools/check_install.py

It needs nothing but Python, also an old one, and runs on Windows, macOS and Linux.
With --packages it only names, on one line, the packages that are missing or too old.
"""

import functools
import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    from importlib.metadata import PackageNotFoundError, version
except ImportError:
    sys.exit("Python %s is too old: install Python 3.13." % platform.python_version())  # noqa: UP031

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 12), (3, 14)
SLOW_TO_START = ["bambi", "numpyro", "nutpie"]  # they load all compiled parts
LESSON_GB = 2


@functools.total_ordering
class Release:
    """A version that compares by its numbers: 3.9 comes before 3.12."""

    def __init__(self, text):
        self.numbers = [int(number) for number in re.findall(r"\d+", text)]

    def __eq__(self, other):
        return self.numbers == Release(str(other)).numbers

    def __lt__(self, other):
        return self.numbers < Release(str(other)).numbers

    def __str__(self):
        return ".".join(map(str, self.numbers))


def applies(marker):
    """Say whether an environment marker of requirements.txt is true on this computer."""
    here = {
        "implementation_name": sys.implementation.name,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_system": platform.system(),
        "python_full_version": Release(platform.python_version()),
        "python_version": Release("{}.{}".format(*sys.version_info)),
        "sys_platform": sys.platform,
    }
    return eval(marker, {"__builtins__": {}}, here)


def locked_versions():
    """Return the packages that the lessons use directly and the versions in the lock."""
    direct = {
        re.sub("[-_.]+", "-", name).lower()
        for name in re.findall(
            r"^[\w.-]+", (ROOT / "requirements.in").read_text("utf-8"), re.M
        )
    }
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)(?: *; *(.*?))? *\\?$", lock, re.M)
    return {
        name: pin
        for name, pin, marker in pins
        if name in direct and applies(marker or "True")
    }


def check_python():
    """Compare this Python with the versions that the packages are made for."""
    name = "Python " + platform.python_version()
    if sys.version_info < OLDEST:
        return "too old", name, "3.13 is best, 3.12 is the oldest that works"
    if sys.version_info[:2] > NEWEST:
        return (
            "too new",
            name,
            "3.13 is best, {}.{} is the newest that works".format(*NEWEST),
        )
    return "ok", name, ""


def check_package(name, needed):
    """Compare an installed package with the version in the lock."""
    try:
        installed = version(name)
    except PackageNotFoundError:
        return "missing", name, needed + " is needed"
    if Release(installed) < Release(needed):
        return "too old", name + " " + installed, needed + " is needed"
    newer = Release(installed) > Release(needed)
    return (
        "ok",
        name + " " + installed,
        "newer than the tested " + needed if newer else "",
    )


def check_start():
    """Start PyMC's world once: a damaged package or a missing system library shows only then."""
    command = [sys.executable, "-c", "import " + ", ".join(SLOW_TO_START)]
    run = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    name = "starting " + ", ".join(SLOW_TO_START)
    if run.returncode:
        return "failed", name, run.stderr.strip().split("\n")[-1]
    return "ok", name, ""


def check_data(line):
    """Compare a data file with its checksum; line ends may differ, as they do on Windows."""
    checksum, name = line.split()
    path = ROOT / "data" / name
    if not path.is_file():
        return "missing", "data/" + name, "bring it back with: git restore data/" + name
    if (
        hashlib.sha256(path.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
        != checksum
    ):
        return "altered", "data/" + name, "bring it back with: git restore data/" + name
    return "ok", "data/" + name, ""


def check_folder():
    """Try to write into the folder of the course."""
    try:
        with tempfile.TemporaryFile(dir=str(ROOT)):
            return "ok", "this folder can be written to", ""
    except OSError as error:
        return "failed", "writing to " + str(ROOT), error.strerror


def check_memory():
    """Compare the computer's memory with what the largest lesson takes."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    name = f"{gigabytes:.1f} GB of memory"
    if gigabytes < LESSON_GB:
        return (
            "too low",
            name,
            f"{LESSON_GB} GB are needed: close other programs or use Binder",
        )
    return "ok", name, ""


def check_packages():
    """Return (verdict, item, remark) for Python and each package."""
    packages = sorted(locked_versions().items())
    return [check_python()] + [check_package(*package) for package in packages]


def checks():
    """Yield (verdict, item, remark) for everything the course needs."""
    packages = check_packages()
    yield from packages
    if all(verdict == "ok" for verdict, _, _ in packages):
        yield check_start()
    for line in (ROOT / "data/checksums.sha256").read_text("utf-8").splitlines():
        yield check_data(line)
    yield check_folder()
    if hasattr(os, "sysconf"):
        yield check_memory()


def remedy(faults):
    """Return the one thing to do next."""
    own = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if own.exists() and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        return "this is not the Python of the course: run {} {}".format(
            own.relative_to(ROOT), Path("tools/check_install.py")
        )
    if faults[0][1].startswith("Python"):
        return "install Python 3.13 and then follow the installation in README.md again"
    return "mend what the lines above say, or install again as README.md says"


def main():
    sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold any letter
    if sys.argv[1:] == ["--packages"]:
        faults = [fault for fault in check_packages() if fault[0] != "ok"]
        print(", ".join("{} {}".format(*fault) for fault in faults))
        sys.exit(1 if faults else 0)
    faults = []
    for verdict, item, remark in checks():
        print(f"{verdict:8} {item}" + (f" ({remark})" if remark else ""), flush=True)
        if verdict != "ok":
            faults.append((verdict, item, remark))
    if faults:
        sys.exit(f"Not ready: {remedy(faults)}.")
    print("Ready: everything the course needs is here.")


if __name__ == "__main__":
    main()
