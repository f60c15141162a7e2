#!/bin/sh
# Makes .venv with the first fitting Python (3.11 to 3.13), else with one that uv brings, or says in one line what is
# missing and how to get it.
# PYTHON=/path/to/python chooses one.
set -eu

target=${1:-.venv}
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python3 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12*/bin/python3 \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python3}; do
        path=$(command -v "$name" 2>/dev/null) || continue
        if "$path" -c "$fits" >/dev/null 2>&1; then
            echo "$path"
            return
        fi
    done
    return 1
}

python=$(find_python) || {
    if [ -z "${PYTHON:-}" ] && command -v uv >/dev/null 2>&1; then
        echo "setup: no Python 3.11, 3.12 or 3.13 here; uv brings one"
        uv venv --quiet --seed --python 3.13 "$target"
        exit
    fi
    if [ -n "${PYTHON:-}" ]; then
        has="PYTHON=$PYTHON is none. Give the path of one, or leave PYTHON out."
    elif command -v python3 >/dev/null 2>&1; then # the system's own packages would bring the same again
        has="python3 is $(python3 --version 2>&1). Install uv, which brings one, or give PYTHON=/path/to/python."
    else
        has="there is no python3. Install it (Debian, Ubuntu: apt-get install python3 python3-venv), or uv, which brings one."
    fi
    echo "setup: no Python 3.11, 3.12 or 3.13 here: $has" >&2
    exit 1
}
echo "setup: $("$python" --version) at $python"

# Debian and Ubuntu ship Python without ensurepip until python3-venv is installed.
if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --seed --python "$python" "$target"
        exit
    fi
    if "$python" -m virtualenv --version >/dev/null 2>&1; then
        "$python" -m virtualenv --quiet "$target"
        exit
    fi
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: this Python lacks venv; installing python$version-venv"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$version-venv" >/dev/null
    else
        echo "setup: $python lacks the venv module. Install it (sudo apt-get install python$version-venv)," \
            "or install uv or virtualenv, and run make again." >&2
        exit 1
    fi
fi
"$python" -m venv "$target"
