#!/bin/sh
# Makes .venv with the packages of requirements.txt, unless it is there and up to date.
#   tools/setup.sh            make .venv where it is missing, half-made or out of date
#   tools/setup.sh --python   only print the path of the Python that it would use
# A failure is one line on standard error that says what to do, and leaves no .venv.
set -u
cd "$(dirname "$0")/.." || exit 1

need_mb=3000 # an installed .venv takes 1.7 GB, what pip downloads and unpacks the rest

fail() {
    echo "Set-up failed: $*" >&2
    exit 1
}

# Prints "ok PATH" for a Python that will do; for any other, what it is and why not.
probe='
import platform, sys
found = "Python %d.%d.%d at %s" % (tuple(sys.version_info[:3]) + (sys.executable,))
try:
    import ensurepip, venv
except ImportError:
    found += " without its venv module (on Debian and Ubuntu: apt install python3-venv)"
    venv = None
if (platform.system(), platform.machine()) == ("Darwin", "x86_64"):
    found += " for Intel Macs, for which JAX and Numba are no longer made (use Binder)"
    venv = None
print("ok " + sys.executable if venv and (3, 12) <= sys.version_info[:2] < (3, 15) else found)
'

# Sets $python to the first Python on the PATH that runs and will do.
find_python() {
    seen=
    for name in python3.13 python3.12 python3.14 python3; do
        answer=$("$name" -I -c "$probe" 2>/dev/null) || continue
        case $answer in
            "ok "*)
                python=${answer#ok }
                return
                ;;
        esac
        case $seen in *"$answer"*) ;; *) seen="$seen${seen:+, }$answer" ;; esac
    done
    fail "found ${seen:-no Python}; the course needs Python 3.12, 3.13 or 3.14: install" \
        "Python 3.13 (https://www.python.org/downloads/) and run make again."
}

# What .venv is made from: its Python, its place, the lock. It is stored when all is installed.
ingredients() {
    .venv/bin/python -I -c 'import sys; print(sys.version_info[:2], sys.base_prefix, sys.prefix)' &&
        cat requirements.txt
}

up_to_date() {
    [ -f .venv/made-from ] && ingredients 2>/dev/null | cmp -s - .venv/made-from
}

check_disk() {
    free_kb=$(df -Pk . | awk 'END { for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { print $(i - 1); exit } }')
    free_mb=$((${free_kb:-9999999} / 1024))
    [ "$free_mb" -ge "$need_mb" ] ||
        fail "$free_mb MB free on the disk of $PWD, $need_mb MB needed: free some space and run make again."
}

# Runs a command in the background, so that a signal is answered at once.
run() {
    "$@" >>.venv/log 2>&1 &
    child=$!
    wait "$child"
}

remove_half_made() {
    kill "$child" 2>/dev/null && wait "$child" 2>/dev/null
    rm -rf .venv
}

# Turns the log of a failed installation into one line: what was wrong and what to do.
explain() {
    error=$(grep '^ERROR: ' .venv/log | tail -n 1)
    error=${error:-$(tail -n 1 .venv/log)}
    again="and run make again"
    if grep -q 'No space left' .venv/log; then
        echo "the disk is full: free $need_mb MB $again."
    elif grep -q 'DO NOT MATCH THE HASHES' .venv/log; then
        package=$(sed -n '/DO NOT MATCH THE HASHES/{n;s/^ *\([^ ]*\).*/\1/p;}' .venv/log | tail -n 1)
        echo "hash mismatch: $package is not the file that requirements.txt names:" \
            "restore it (git restore requirements.txt) $again."
    elif grep -qE 'Retrying \(|timed out|Connection(Error| broken)|SSLError|ProxyError' .venv/log; then
        echo "no network: pip cannot reach the package index: check the connection $again."
    elif grep -q 'No matching distribution' .venv/log; then
        echo "${error#ERROR: } on this system: the course runs on 64-bit Linux with glibc 2.28," \
            "macOS 13 on Apple silicon, or newer: if yours is, git restore requirements.txt $again."
    else
        error=${error#ERROR: }
        echo "pip says \"${error%%. *}\": restore the lock (git restore requirements.txt) $again."
    fi
}

if [ "${1:-}" = --python ]; then
    find_python
    echo "$python"
    exit
fi

up_to_date && exit
[ -s requirements.txt ] || fail "requirements.txt is missing or empty: git restore requirements.txt"
maker=$(cat .venv/maker 2>/dev/null) && kill -0 "$maker" 2>/dev/null &&
    fail "process $maker is making .venv at this moment: wait for it and run make again."
find_python
check_disk

echo "Installing the packages of requirements.txt into .venv (once; it takes some minutes) ..."
child=
trap 'remove_half_made; echo "Set-up stopped: .venv removed, run make again." >&2; exit 130' HUP INT TERM
rm -rf .venv
{ mkdir -p .venv/tmp && echo $$ >.venv/maker; } 2>/dev/null ||
    fail "cannot write to $PWD: make it writable and run make again."
# Temporary files go into .venv too: onto the disk that was checked, and away with it.
export TMPDIR="$PWD/.venv/tmp" PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
if ! { run "$python" -I -m venv .venv &&
    run .venv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.txt &&
    ingredients >.venv/tmp/made-from 2>>.venv/log; }; then
    reason=$(explain)
    remove_half_made
    fail "$reason"
fi
mv .venv/tmp/made-from .venv/made-from
rm -rf .venv/tmp .venv/log .venv/maker
