# What tests need before they run: builds, the tests' Python, a stack. To be sourced from the checkout's root, with WORK a
# folder of the caller's own that goes when it ends.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/kundregister
export PYTHONDONTWRITEBYTECODE=1

need() { # need NAME: once
    [[ -e $WORK/need-$1 ]] && return 0
    case $1 in
        venv) need_venv ;;
        specs) need_specs ;;
        *) cmake --preset "$1" && cmake --build --preset "$1" ;;
    esac >"$WORK/need-output" 2>&1 || { tail -n 40 "$WORK/need-output"; return 1; }
    touch "$WORK/need-$1"
}

venv_directory() { printf '%s/venv-%s\n' "$CACHE" "$(cksum <tests/requirements.txt | cut -d' ' -f1)"; }
specs_directory() { printf '%s/specs-%s\n' "$CACHE" "$(cksum <tests/unit/package.json | cut -d' ' -f1)"; }

need_venv() { # the Python of the tests, from PyPI, kept in the cache
    local venv
    venv=$(venv_directory)
    [[ -e $venv/complete ]] && return 0
    rm -rf "$venv" && mkdir -p "$CACHE" && /usr/bin/python3 -m venv "$venv" &&
        "$venv/bin/python" -m pip -q install -r tests/requirements.txt && touch "$venv/complete"
}

need_specs() { # the JSON Schema of AsyncAPI documents, from npm, kept in the cache
    local specs
    specs=$(specs_directory)
    [[ -e $specs/complete ]] && return 0
    command -v npm >/dev/null || deploy/install npm || return 1
    rm -rf "$specs" && mkdir -p "$specs" && cp tests/unit/package.json "$specs" &&
        (cd "$specs" && npm install --no-audit --no-fund --ignore-scripts) && touch "$specs/complete"
}

tests_python() { printf '%s/bin/python\n' "$(venv_directory)"; }
