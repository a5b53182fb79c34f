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

# _postern_ask POSTERN WORDS...: what it says of the policy that the line is about.
_postern_ask() {
    local i config=()
    for ((i = 1; i + 1 < COMP_CWORD; i++)); do
        case ${COMP_WORDS[1]}${COMP_WORDS[i]} in
        logs-f) ;;
        *-f | *--config) config=(-f "${COMP_WORDS[i + 1]/#\~\//$HOME/}") ;;
        esac
    done
    "$@" "${config[@]}" 2>/dev/null
}

# _postern_names POSTERN KIND: names in that policy.
_postern_names() {
    _postern_ask "$1" show --names "$2"
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

# _postern_changes POSTERN WORDS...: what `tenant` and `key` are about, of the tenants that there are.
_postern_changes() {
    local postern=$1 at=$COMP_CWORD
    case ${COMP_WORDS[1]}-${COMP_WORDS[2]} in
    tenant-enable)
        _postern_candidates "$(_postern_ask "$postern" tenant list |
            sed -n 's/^\([^ ]*\) .* disabled .*/\1/p')"
        ;;
    tenant-disable | tenant-remove | key-list)
        _postern_candidates "$(_postern_names "$postern" tenants)"
        ;;
    tenant-templates) _postern_files ;;
    key-add | key-remove)
        if [ "$at" = 3 ]; then
            _postern_candidates "$(_postern_names "$postern" tenants)"
        elif [ "${COMP_WORDS[2]}" = add ]; then
            _postern_files
        else
            # To readline, a colon is a word of its own.
            local begin=
            if [ "${COMP_WORDS[at]}" = : ]; then
                begin=SHA256: COMP_WORDS[at]=
            elif [ "${COMP_WORDS[at - 1]}" = : ]; then
                begin=SHA256:
            fi
            _postern_candidates "$(_postern_ask "$postern" key list "${COMP_WORDS[3]}" |
                sed -n "s/.* \(SHA256:[^ ]*\) .*/\1/p" | sed "s/^$begin//")"
        fi
        ;;
    esac
}

_postern_recordings() {
    "$1" play --list 2>/dev/null | sed -n '2,$s/ .*//p'
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
    tenant | key)
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
    --sum) _postern_candidates 'tenant key verdict user command day' ;;
    --event) _postern_candidates 'auth start refused blocked end closed reload lost' ;;
    --names) _postern_candidates 'tenants sandboxes logins' ;;
    --color) _postern_candidates 'auto always never' ;;
    --template) _postern_candidates "$(_postern_templates "$postern")" ;;
    --network) _postern_candidates 'none loopback host' ;;
    --since | --until | --verdict | --exec | --lines | -n) ;;
    --from | --at | --subsystem | --env | --name | --comment | --expiry | --connection | --reason | --speed | --idle-limit) ;;
    --key)
        case ${COMP_WORDS[1]} in
        ps | kill | audit) ;;
        *) _postern_files ;;
        esac
        ;;
    -f | --config | --against | --output | --cwd | --probe | --workspace | --socket) _postern_files ;;
    *)
        case $2 in
        -*) _postern_candidates "$(_postern_options "$postern" "${sub[@]}")" ;;
        *)
            case ${COMP_WORDS[1]} in
            help) _postern_candidates "$(_postern_subcommands "$postern")" ;;
            check | test | replay | audit | logs | learn) _postern_files ;;
            tenant | key) _postern_changes "$postern" ;;
            play)
                _postern_files
                mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < \
                    <(compgen -W "$(_postern_recordings "$postern")" -- "$2")
                ;;
            esac
            ;;
        esac
        ;;
    esac
}

complete -F _postern postern
