#!/bin/sh
# Compiles requirements.in into requirements.txt, the lock: exact versions and hashes, one file
# for all systems. The versions of the present lock are kept unless UPGRADE is set.
# A lock that some system below could not install without a compiler is refused.
set -eu
cd "$(dirname "$0")/.."

pythons="3.12 3.13 3.14"
systems="x86_64-manylinux_2_28 aarch64-manylinux_2_28 aarch64-apple-darwin x86_64-pc-windows-msvc"
export MACOSX_DEPLOYMENT_TARGET=13.0

uv() { .venv/bin/python -m uv --no-config --quiet pip "$@" --python .venv/bin/python; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
cp requirements.txt "$work/requirements.txt"
uv compile --universal --python-version 3.12 --generate-hashes --only-binary :all: \
    --custom-compile-command "make lock" ${UPGRADE:+--upgrade} \
    requirements.in --output-file "$work/requirements.txt" >/dev/null

for python in $pythons; do
    for system in $systems; do
        uv install --dry-run --target "$work/none" --require-hashes --only-binary :all: \
            --python-version "$python" --python-platform "$system" \
            -r "$work/requirements.txt" 2>"$work/log" && continue
        cat "$work/log" >&2
        echo "The lock is as it was: Python $python on $system could not install the new one." >&2
        exit 1
    done
done
if cmp -s "$work/requirements.txt" requirements.txt; then
    echo "requirements.txt is up to date."
else
    cat "$work/requirements.txt" >requirements.txt
    echo "requirements.txt is new: the next make command installs it."
fi
