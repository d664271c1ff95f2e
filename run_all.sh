#!/usr/bin/env bash
# From a fresh clone to every figure: sets the environment up where that is needed, then runs a profile.
# Written for bash 3.2, the one that comes with macOS.  ./run_all.sh --help says what it can do.
set -euo pipefail
unset CDPATH # with it, cd prints and may go elsewhere

# What the environment says of other Pythons, repositories and encodings is not meant for this project.
unset PYTHONHOME PYTHONSTARTUP PYTHONSAFEPATH PYTHONINSPECT PYTHONPLATLIBDIR __PYVENV_LAUNCHER__
unset GIT_DIR GIT_WORK_TREE GIT_COMMON_DIR GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
unset GIT_CEILING_DIRECTORIES GIT_NAMESPACE GIT_PREFIX PIP_TARGET PIP_PREFIX PIP_USER
export PYTHONUTF8=1
[ -d "${TMPDIR:-/}" ] || unset TMPDIR

started_in=$PWD
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
cd "$here"
stamp=.venv/singlefilter-setup lock=.venv.lock

fail() { # fail CODE WORDS...: the reason on standard error, then the end
    local code=$1
    shift
    echo "run_all.sh: $*" >&2
    exit "$code"
}

profile_names() {
    local file
    for file in lib/singlefilter/profiles/*.yaml; do basename "$file" .yaml; done | LC_ALL=C sort
}

profile_value() { # profile_value FILE KEY: the value of a line "KEY: value", without quotes
    sed -n "s/^$2:[[:space:]]*//p" "$1" | sed -e 's/[[:space:]]#.*$//' -e "s/^[\"']//" -e "s/[\"'][[:space:]]*\$//"
}

nearest() { # nearest WORD CHOICES...: " did you mean CHOICE?", for the one that is few letters away or has it inside
    local word=$1
    shift
    printf '%s\n' "$@" | WORD=$word awk '
        function distance(a, b,    i, j, cost, row, last, kept) {
            for (j = 0; j <= length(b); j++) row[j] = j
            for (i = 1; i <= length(a); i++) {
                last = row[0]
                row[0] = i
                for (j = 1; j <= length(b); j++) {
                    kept = row[j]
                    cost = last + (substr(a, i, 1) != substr(b, j, 1))
                    if (row[j] + 1.1 < cost) cost = row[j] + 1.1 # rather what has all letters of the word
                    if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1
                    row[j] = cost
                    last = kept
                }
            }
            return row[length(b)]
        }
        BEGIN { word = tolower(ENVIRON["WORD"]); best = int((length(word) + 2) / 3) + 1 }
        {
            name = tolower($0)
            far = distance(word, name)
            if (length(word) > 2 && index(name, word) && far >= best) far = best - 0.5
            sub(/^[0-9][0-9]_/, "", name)
            short = distance(word, name)
            if (short < far) far = short
            if (far < best) { best = far; found = $0 }
        }
        END { if (found != "") printf " did you mean %s?", found }' 2>/dev/null || true
}

usage() {
    cat <<'TEXT'
Usage: ./run_all.sh [options]

Sets up what is needed (an active environment that has it, else .venv beside this script), runs a profile, and
ends by naming the figures it wrote, and a site to read. A second run reuses what is there.

  --profile NAME   what to run (below), or the path of a profile of your own (a .yaml file); default: quick
  --only NN        one notebook, with the stages it needs: --only 04
  --lab            start JupyterLab on working copies of the notebooks, in my_notebooks/, where yours stay as they are;
                   what follows -- goes to JupyterLab: ./run_all.sh --lab -- --no-browser
  --figures        redraw every figure of the profile from its saved tables alone, in seconds
  --data-dir DIR   where data sets are: DIR/cifar100/train/<label>/*.png and so on; downloads go there too
  --fresh          compute everything again, trust no earlier result
  --test           lint and all tests; what follows -- goes to pytest: ./run_all.sh --test -- -k clusters
  --bench          speed and memory, ours against other ways on this machine: charts in figures/benchmarks, 15 minutes;
                   what follows -- goes to the benchmarks: ./run_all.sh --bench -- --only clusters
  --cpu            when .venv is made: torch without CUDA, a much smaller download
  --help           this text

Profiles                                            (minutes for all notebooks, set-up apart)
TEXT
    local name file
    for name in $(profile_names); do
        file=lib/singlefilter/profiles/$name.yaml
        printf '  %-19s %4s min   %s\n' "$name" "$(profile_value "$file" minutes)" "$(profile_value "$file" purpose)"
    done
}

# ---------------------------------------------------------------- what is asked for, checked before any work
profile='' only='' data_dir='' mode=run fresh='' cpu=''
dashes='' more_args=()

needs_value() { [ $# -ge 2 ] && [ -n "$2" ] || fail 2 "$1 needs a value; ./run_all.sh --help shows which"; }
set_mode() {
    [ "$mode" = run ] || [ "$mode" = "$1" ] || fail 2 "--$mode and --$1 cannot be asked for together"
    mode=$1
}

while [ $# -gt 0 ]; do
    case $1 in
        --help | -h) usage && exit 0 ;;
        --profile=* | --only=* | --data-dir=*) # --profile=quick is --profile quick
            option=${1%%=*} value=${1#*=}
            shift
            set -- "$option" "$value" "$@"
            continue
            ;;
        --profile) needs_value "$@" && profile=$2 && shift ;;
        --only) needs_value "$@" && only=$2 && shift ;;
        --data-dir) needs_value "$@" && data_dir=$2 && shift ;;
        --lab) set_mode lab ;;
        --figures) set_mode figures ;;
        --test) set_mode test ;;
        --bench) set_mode bench ;;
        --fresh) fresh=yes ;;
        --cpu) cpu=yes ;;
        --)
            shift
            dashes=yes more_args=("$@")
            break
            ;;
        *)
            options=(--profile --only --lab --figures --data-dir --fresh --test --bench --cpu --help)
            fail 2 "there is no option '$1';$(nearest "$1" "${options[@]}") ./run_all.sh --help lists those there are"
            ;;
    esac
    shift
done

case $mode in
    test | bench | lab) ;;
    *)
        [ -z "$dashes" ] || fail 2 "what follows -- goes to pytest, to the benchmarks or to JupyterLab," \
            "so it needs --test, --bench or --lab"
        ;;
esac
if [ "$mode" != run ] && [ -n "$only$fresh" ]; then
    fail 2 "--only and --fresh belong to a run of a profile, not to --$mode"
fi
case $mode in
    run | lab) ;;
    *) [ -z "$data_dir" ] || fail 2 "--data-dir belongs to a run of a profile or to --lab, not to --$mode" ;;
esac
if [ "$mode" = lab ] && [ -n "$profile" ]; then
    fail 2 "--profile does not belong to --lab: each notebook names its profile in its first cell"
fi
profile=${profile:-quick}

from_start() { case $1 in /*) printf '%s' "$1" ;; *) printf '%s' "$started_in/$1" ;; esac }

case $profile in
    *.yaml)
        file=$(from_start "$profile")
        [ -f "$file" ] || fail 2 "there is no profile file $file"
        profile=$file
        ;;
    *)
        case $profile in */*) found='' ;; *) found=lib/singlefilter/profiles/$profile.yaml ;; esac
        [ -f "$found" ] ||
            # shellcheck disable=SC2046  # a word each
            fail 2 "there is no profile '$profile';$(nearest "$profile" $(profile_names))" \
                "those there are: $(profile_names | tr '\n' ' ')" \
                "(or the path of a .yaml file of your own)"
        ;;
esac

if [ -n "$only" ]; then
    case $only in [0-9] | [0-9][a-z]) only=0$only ;; esac
    names=$(find notebooks -name '[0-9][0-9]*_*.ipynb' -exec basename {} .ipynb \; | LC_ALL=C sort)
    numbers=$(echo "$names" | cut -d _ -f 1 | tr '\n' ' ')
    case " $numbers" in
        *" $only "*) ;;
        # shellcheck disable=SC2086  # a word each
        *) fail 2 "there is no notebook '$only';$(nearest "$only" $names) those there are: $numbers" ;;
    esac
fi

if [ -n "$data_dir" ]; then
    [ -d "$(from_start "$data_dir")" ] || fail 2 "there is no folder $(from_start "$data_dir") (--data-dir)"
    data_dir=$(cd "$(from_start "$data_dir")" && pwd)
fi

# ---------------------------------------------------------------- the environment
wanted="complete $(cat requirements.lock pyproject.toml | cksum) in $here"

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

satisfied() { # satisfied PYTHON: nothing is printed when it has everything, else what it lacks
    local extra=()
    if [ "$mode" = test ]; then extra=(--extra dev); fi
    new_enough "$1" || { echo "$1 is not a Python 3.11 or newer" && return 1; }
    # -P keeps the library's folder, whose modules have common names, off the path
    "$1" -P lib/singlefilter/environment.py --quiet ${extra[@]+"${extra[@]}"} 2>&1
}

find_python() { # a Python on PATH that the tests know, else any that is new enough
    local name
    for name in python3.12 python3.13 python3.11 python3 python; do
        if new_enough "$name"; then
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

try_lock() { # try_lock PYTHON FLAG: 0 when the lock on file 9 is ours, 1 when another has it, 2 where there are none
    "$1" -c 'import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | getattr(fcntl, sys.argv[1], 0))
except BlockingIOError:
    sys.exit(1)
except OSError:
    sys.exit(2)' "$2"
}

# The lock is on an open file, which all have that this script starts: it is held as long as any of them lives,
# though the script was killed, and no longer.  bash 3.2 and macOS have no other such lock than Python's.
take_lock() { # take_lock PYTHON: from here on nobody else makes .venv; waits for who does so now
    local result=0 who
    { : >>"$lock"; } 2>/dev/null ||
        fail 1 "$here cannot be written, so no .venv can be made in it: activate an environment that has what is" \
            "needed (python3 lib/singlefilter/environment.py lists it), or copy the project to a folder of yours"
    exec 9>>"$lock"
    try_lock "$1" LOCK_NB || result=$?
    if [ $result = 1 ]; then
        who=$(cat "$lock")
        case $who in
            "process "[0-9]*)
                who=${who#process }
                if kill -0 "${who%%,*}" 2>/dev/null; then
                    echo "process $who, is setting .venv up; waiting for it to end"
                else
                    echo "process $who, was killed, and what it started is still setting .venv up;" \
                        "waiting for that to end"
                fi
                ;;
            *) echo "another run is setting .venv up; waiting for it to end" ;;
        esac
        result=0
        try_lock "$1" wait || result=$?
    fi
    [ $result != 2 ] || echo "no locks work here, so see that no other run sets .venv up at the same time" >&2
    echo "process $$, since $(date +%H:%M)" >"$lock"
}

make_venv() { # make_venv PYTHON: from nothing, under the lock
    local found=$1 uv cache
    echo "making .venv with $("$found" -V) ($found); the first time this downloads some gigabytes"
    # It appears with its stamp in it, so that no kill leaves one that nobody is known to have made.
    rm -rf .venv.new
    { mkdir .venv.new && echo "unfinished" >".venv.new/${stamp#*/}" && mv .venv.new .venv; } ||
        fail 1 "$here/.venv could not be made; the line above says why"
    "$found" -m venv .venv ||
        fail 1 "$found cannot make an environment (on Debian and Ubuntu: apt install python3-venv)"
    cache=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-${HOME:-/}/.cache}/uv}
    if ! { mkdir -p "$cache" && [ -w "$cache" ]; } 2>/dev/null; then export UV_CACHE_DIR=$here/.venv/uv-cache; fi

    # uv and not pip installs the set: pip would take a file of torch that lies on the machine, a CPU build,
    # with torchvision from the index, a CUDA build, and the two do not work together.
    uv=$(command -v uv || true)
    if [ -z "$uv" ] || ! "$uv" --version >/dev/null 2>&1; then
        uv=$here/.venv/bin/uv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check uv ||
            fail 1 "pip could not install uv, which installs the rest; is this machine online?"
    fi
    install_locked "$uv" ||
        fail 1 "the packages could not be installed; the lines above say why. Run this again to try again"
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation -e . ||
        fail 1 "the library in lib/ could not be installed; the lines above say why"
    satisfied .venv/bin/python || fail 1 "what was installed does not pass the check above"
    rm -rf .venv/uv-cache
    echo "$wanted" >"$stamp"
}

install_locked() { # install_locked UV: the pinned set, every file checked against its hash
    export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}
    local rest=.venv/without-torch.lock pair
    if [ -z "$cpu" ]; then
        "$1" pip install --python .venv/bin/python --require-hashes -r requirements.lock
        return
    fi
    # The CPU builds have other hashes than those in the lock, and need none of CUDA's packages.
    pair=$(grep -oE '^(torch|torchvision)==[^ ;]+' requirements.lock)
    # shellcheck disable=SC2086  # two words are meant
    "$1" pip install --python .venv/bin/python --no-deps --torch-backend cpu $pair || {
        echo "the CPU builds of torch could not be had; ./run_all.sh without --cpu takes those of the lock" >&2
        return 1
    }
    awk '/^[^ #]/ { keep = !/^(torch|torchvision|triton|nvidia-|cuda-)/ } keep' requirements.lock >"$rest"
    "$1" pip install --python .venv/bin/python --no-deps --require-hashes -r "$rest"
}

borrow() { # an environment that is not ours: the library is used from lib/, nothing is installed
    echo "using $1, which has what is needed"
    export PYTHONPATH=$here/lib${PYTHONPATH:+:$PYTHONPATH}
}

is_set_up() { [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; }

set_up_venv() { # leaves a .venv that has everything, or ends with the reason
    local found
    if is_set_up; then
        echo "using .venv (set up already)"
        return
    fi
    if [ -e .venv ] || [ -L .venv ]; then
        [ -d .venv ] || fail 1 "$here/.venv is no folder; move it away and run this again"
        if [ ! -e "$stamp" ] && [ -n "$(ls -A .venv)" ]; then
            satisfied .venv/bin/python ||
                fail 1 "this .venv was not made by run_all.sh and does not have what is needed (above);" \
                    "complete it, or move it away and run this again"
            borrow .venv
            return
        fi
    fi
    found=$(find_python) || fail 1 "no Python 3.11 or newer is on PATH; install one (python.org, your system's" \
        "packages, conda or pyenv) and run this again"
    take_lock "$found"
    if is_set_up; then
        echo "using .venv (set up by that run)"
    else
        case $(cat "$stamp" 2>/dev/null) in
            complete*) echo ".venv is for other requirements, another place, or a Python that is gone; making it again" ;;
            *) [ ! -e .venv ] || echo "an earlier set-up of .venv did not finish; making it again" ;;
        esac
        rm -rf .venv.old # moved away first: half of one without its stamp would be taken for somebody else's
        if [ -e .venv ]; then mv .venv .venv.old && rm -rf .venv.old; fi
        make_venv "$found"
    fi
    exec 9>&-
}

if [ "${VIRTUAL_ENV:-}" -ef .venv ]; then # ours: treated as if it were not active, so that it can be made again
    PATH=:$PATH:
    PATH=${PATH//":$VIRTUAL_ENV/bin:"/:}
    PATH=${PATH#:}
    PATH=${PATH%:}
    unset VIRTUAL_ENV
fi

if lacks=$(satisfied python3); then
    python=$(python3 -c 'import sys; print(sys.executable)')
    borrow "the active environment ($python)"
else
    if [ -n "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ]; then
        printf 'not using the active environment, %s:\n%s\n' "${VIRTUAL_ENV:-${CONDA_PREFIX:-}}" "$lacks"
    fi
    python=$here/.venv/bin/python
    export PYTHONPATH=$here/lib # that of another clone would run in its place
    unset PYTHONDONTWRITEBYTECODE # every notebook starts a Python; compiling torch anew each time costs seconds
    set_up_venv
fi

# ---------------------------------------------------------------- the work
case $mode in
    test)
        "$python" -m ruff check .
        "$python" -m ruff format --check .
        "$python" -m pytest ${more_args[@]+"${more_args[@]}"}
        ;;
    bench)
        "$python" tests/benchmarks/run.py ${more_args[@]+"${more_args[@]}"}
        ;;
    lab)
        if [ -n "$data_dir" ]; then export SINGLEFILTER_DATA=$data_dir; fi
        exec "$python" -m singlefilter lab -- ${more_args[@]+"${more_args[@]}"}
        ;;
    figures)
        "$python" -m singlefilter figures --profile "$profile"
        ;;
    run)
        arguments=(all --profile "$profile")
        if [ -n "$only" ]; then arguments+=(--only "$only"); fi
        if [ -n "$data_dir" ]; then arguments+=(--data-dir "$data_dir"); fi
        if [ -n "$fresh" ]; then arguments+=(--fresh); fi
        "$python" -m singlefilter "${arguments[@]}"
        ;;
esac
