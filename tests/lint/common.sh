# common.sh - what the lint scripts share; they run in the root of the tree with the build directory
# as their argument.
set -euo pipefail
build=$1

need() {
    command -v "$1" >/dev/null || {
        echo "skipped: $1 is not installed"
        exit 77
    }
}

# All C files of the project, NUL-terminated; build directories left out.
c_files() {
    find config daemon sandbox tests -name '*.[ch]' -print0 | sort -z
}
