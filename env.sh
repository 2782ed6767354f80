# Source this: `. ./env.sh`. Then `dagster`, `dg` and `galileu` work from this folder, in bash, zsh and sh.

galileu_root="$(cd "$(dirname "${BASH_SOURCE:-${0}}")" 2>/dev/null && pwd)"
[ -f "$galileu_root/env.sh" ] || galileu_root="$PWD"

if [ ! -f "$galileu_root/.venv/bin/activate" ]; then
    echo "There is no .venv yet: run 'make setup' in $galileu_root first." >&2
    return 1 2>/dev/null || exit 1
fi
. "$galileu_root/.venv/bin/activate"
PATH="$galileu_root/bin:$PATH"

export DAGSTER_HOME="${DAGSTER_HOME:-$galileu_root}"
export DAGSTER_MODULE_NAME=galileu_pipeline.definitions
export GALILEU_DAGSTER_STATE="${GALILEU_DAGSTER_STATE:-$galileu_root/.dagster}"
unset galileu_root
