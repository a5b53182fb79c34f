# bash completion for postern(1). What there is to choose from is asked of postern itself, so that
# this file can't fall behind it.

# _postern_candidates WORDS...: those of the words that begin with what has been typed.
_postern_candidates() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_postern_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

# _postern_names POSTERN KIND: names in the policy that the line is about.
_postern_names() {
    local i config=()
    for ((i = 1; i + 1 < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -f | --config) config=(-f "${COMP_WORDS[i + 1]/#\~\//$HOME/}") ;;
        esac
    done
    "$1" show --names "$2" "${config[@]}" 2>/dev/null
}

_postern_subcommands() {
    "$1" help 2>/dev/null | sed -n 's/^  postern \([a-z-]*\).*/\1/p'
}

# _postern_verbs POSTERN SUBCOMMAND: what it can do, of one that does several things.
_postern_verbs() {
    "$1" "$2" --help 2>/dev/null | sed -n "s/^  postern $2 \([a-z-]*\).*/\1/p"
}

# _postern_options POSTERN WORDS...: the options of a subcommand, or of its verb.
_postern_options() {
    "$@" --help 2>/dev/null | sed -n 's/^  \(-., \)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_postern_templates() {
    "$1" tenant templates 2>/dev/null | sed -n 's/^\([^ ]*\) .*/\1/p'
}

# As `complete -F` calls it: $1 is the command, $2 the word to complete, $3 the one before it.
_postern() {
    local postern=${1/#\~\//$HOME/}
    COMPREPLY=()
    if [ "$COMP_CWORD" = 1 ]; then
        _postern_candidates "$(_postern_subcommands "$postern")"
        return
    fi
    local sub=("${COMP_WORDS[1]}")
    case ${sub[0]} in
    tenant)
        if [ "$COMP_CWORD" = 2 ]; then
            _postern_candidates "$(_postern_verbs "$postern" "${sub[0]}")"
            return
        fi
        sub+=("${COMP_WORDS[2]}")
        ;;
    esac
    case $3 in
    --tenant) _postern_candidates "$(_postern_names "$postern" tenants)" ;;
    --sandbox | --from-sandbox) _postern_candidates "$(_postern_names "$postern" sandboxes)" ;;
    --user)
        if [ "${COMP_WORDS[1]}" = learn ]; then
            mapfile -t COMPREPLY < <(compgen -u -- "$2")
        else
            _postern_candidates "$(_postern_names "$postern" logins)"
        fi
        ;;
    --names) _postern_candidates 'tenants sandboxes logins' ;;
    --color) _postern_candidates 'auto always never' ;;
    --template) _postern_candidates "$(_postern_templates "$postern")" ;;
    --network) _postern_candidates 'none loopback host' ;;
    --from | --at | --subsystem | --env | --name) ;;
    -f | --config | --key | --against | --output | --cwd | --probe | --workspace) _postern_files ;;
    *)
        case $2 in
        -*) _postern_candidates "$(_postern_options "$postern" "${sub[@]}")" ;;
        *)
            case ${COMP_WORDS[1]} in
            help) _postern_candidates "$(_postern_subcommands "$postern")" ;;
            check | test | replay | learn) _postern_files ;;
            esac
            ;;
        esac
        ;;
    esac
}

complete -F _postern postern
