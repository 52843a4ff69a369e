#!/bin/sh
# Makes .venv with the packages of requirements.txt, unless it is there and up to date.
#   tools/setup.sh            make .venv where it is missing, half-made or out of date
#   tools/setup.sh --python   only print the path of the Python that it would use
# A failure is one line on standard error that says what to do, and leaves the .venv of before or
# none. A .venv that this script did not make is never changed.
set -u
cd "$(dirname "$0")/.." || exit 1

need_mb=3000 # an installed .venv takes 1.8 GB, what is downloaded and unpacked the rest

fail() {
    echo "Set-up failed: $*$(works && echo " Until then the .venv of before works.")" >&2
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

# What .venv is made from: its Python and place, the lock. It is stored when all is installed.
place() {
    .venv/bin/python -I -c 'import sys; print(sys.version_info[:2], sys.base_prefix, sys.prefix)'
}

ingredients() {
    place && cat requirements.txt
}

up_to_date() {
    [ -f .venv/made-from ] && ingredients 2>/dev/null | cmp -s - .venv/made-from
}

# Whether .venv is complete and where it was made, for the present lock or another one.
works() {
    [ -f .venv/made-from ] && [ "$(place 2>/dev/null)" = "$(head -n 1 .venv/made-from)" ]
}

made_by_hand() {
    [ ! -f .venv/made-from ] && [ ! -f .venv/maker ] && [ -n "$(ls -A .venv 2>/dev/null)" ]
}

use_as_it_is() {
    lacks=$(.venv/bin/python tools/check_install.py --packages 2>/dev/null) || fail ".venv, which make" \
        "did not make, lacks what requirements.txt asks for (${lacks:-its Python does not run}):" \
        "install it there, or move .venv away (mv .venv my-venv), and run make again."
    echo "Using .venv as it is: make did not make it, but it has the packages of requirements.txt."
}

# Whether another run of this script is making .venv; a number left over may be of any process.
being_made() {
    maker=$(cat .venv/maker 2>/dev/null) && kill -0 "$maker" 2>/dev/null || return 1
    case $(ps -o args= -p "$maker" 2>/dev/null || echo setup.sh) in
        *defunct*) return 1 ;;
        *setup.sh*) ;;
        *) return 1 ;;
    esac
}

# An update keeps the old environment in .venv.old until the new one is complete. Here it goes
# away, or comes back if the update was cut off.
settle() {
    [ -d .venv.old ] || return 0
    if [ -f .venv/made-from ]; then
        rm -rf .venv.old
    else
        rm -rf .venv && mv .venv.old .venv
    fi 2>/dev/null
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
    [ -f .venv/made-from ] || rm -rf .venv 2>/dev/null || { sleep 1 && rm -rf .venv; }
    settle
}

stop() {
    remove_half_made
    left=".venv removed"
    works && left="the .venv of before is back"
    echo "Set-up stopped: $left, run make again." >&2
    exit 130
}

# Puts a new .venv in place of the present one, which settle can bring back.
begin() {
    if [ -f .venv/made-from ]; then mv .venv .venv.old; else rm -rf .venv; fi &&
        mkdir .venv && echo $$ >.venv/maker && mkdir .venv/tmp
}

# uv is several times quicker than pip. But it reads none of pip's settings, such as the address
# of a nearer index, so where it fails for a reason that may be its own, pip tries.
install() {
    safely="--require-hashes --only-binary :all:" # what the lock names, and nothing to be compiled
    # In the foreground, as it has children of its own: nothing must write once .venv is removed.
    "$python" -I -m venv .venv >>.venv/log 2>&1 &&
        awk '/^[^ #]/ { keep = /^uv==/ } keep' requirements.txt >.venv/tmp/uv.txt &&
        run .venv/bin/python -m pip install --quiet $safely -r .venv/tmp/uv.txt &&
        { run .venv/bin/python -m uv --quiet pip sync --python .venv/bin/python $safely \
            requirements.txt || {
            ! grep -qE "$full|$mismatch|$none_fits" .venv/log &&
                run .venv/bin/python -m pip install --quiet $safely -r requirements.txt
        }; } &&
        ingredients >.venv/tmp/made-from 2>>.venv/log
}

full='No space left|quota exceeded'
mismatch='DO NOT MATCH THE HASHES|Hash mismatch'
none_fits='No matching distribution|No solution found'

# Turns the log of a failed installation into one line: what was wrong and what to do.
explain() {
    error=$(grep -i '^error: ' .venv/log | tail -n 1)
    error=${error:-$(tail -n 1 .venv/log)}
    error=${error#[Ee]*: }
    again="and run make again"
    if grep -qE "$full" .venv/log; then
        echo "the disk is full: free $need_mb MB $again."
    elif grep -qE "$mismatch" .venv/log; then
        package=$(sed -n '/DO NOT MATCH THE HASHES/{n;s/^ *\([^ ]*\).*/\1/p;}
            s/.*Hash mismatch for `\(.*\)`.*/\1/p' .venv/log | tail -n 1)
        echo "hash mismatch: $package is not the file that requirements.txt names:" \
            "restore it (git restore requirements.txt) $again."
    elif grep -qE 'Retrying \(|timed out|Connection(Error| broken)|SSLError|ProxyError' .venv/log; then
        echo "no network: the package index cannot be reached: check the connection $again."
    elif grep -qE "$none_fits" .venv/log; then
        reason=$(sed -n 's/.*Because \(.*\) and you require .*/\1/p' .venv/log | tail -n 1)
        echo "${reason:-$error} on this system: the course runs on 64-bit Linux with glibc 2.28," \
            "macOS 13 on Apple silicon, or newer: if yours is, git restore requirements.txt $again."
    else
        echo "the installer says \"${error%%. *}\": restore the lock (git restore requirements.txt) $again."
    fi
}

if [ "${1:-}" = --python ]; then
    find_python
    echo "$python"
    exit
fi

being_made && fail "process $maker is making .venv at this moment: wait for it and run make again."
settle
up_to_date && exit
[ -s requirements.txt ] || fail "requirements.txt is missing or empty: git restore requirements.txt"
if made_by_hand; then
    use_as_it_is
    exit
fi
find_python
check_disk

echo "Installing the packages of requirements.txt into .venv (once; it takes some minutes) ..."
child=
trap stop HUP INT TERM
begin 2>/dev/null || {
    settle
    fail "cannot write to $PWD: make it writable and run make again."
}
# Temporary files go into .venv too: onto the disk that was checked, and away with it.
export TMPDIR="$PWD/.venv/tmp" PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1
if ! install; then
    reason=$(explain)
    remove_half_made
    fail "$reason"
fi
trap - HUP INT TERM
mv .venv/tmp/made-from .venv/made-from
rm -rf .venv/tmp .venv/log .venv/maker .venv.old
unset TMPDIR

# What the first imports and the first fit would wait for is compiled in the background.
nohup nice .venv/bin/python tools/warm.py --shared </dev/null >/dev/null 2>&1 &
