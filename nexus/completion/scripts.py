"""The scripts that make a shell ask Nexus what may come next.

Each asks the `nexus` on the PATH, never the file that was typed: completing `./nexus` must not run it. The first line
of an answer says whether it is the candidates, or whether the shell is to offer files or folders.
"""

from nexus.schemas.front import Shell

_BASH = r"""# bash completion for nexus
_nexus_complete() {
    local -a reply
    mapfile -t reply < <(nexus completion bash --line "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    COMPREPLY=()
    case "${reply[0]-}" in
        plain) COMPREPLY=("${reply[@]:1}") ;;
        files) compopt -o default ;;
        folders) compopt -o dirnames ;;
    esac
}
complete -F _nexus_complete nexus
"""

_ZSH = r"""#compdef nexus
_nexus() {
    local -a reply values shown
    local line
    reply=("${(@f)$(nexus completion zsh -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    case "${reply[1]-}" in
        plain)
            for line in "${(@)reply[2,-1]}"; do
                values+=("${line%%$'\t'*}")
                shown+=("${line/$'\t'/  -- }")
            done
            (( $#values )) && compadd -l -d shown -a -- values
            ;;
        files) _files ;;
        folders) _files -/ ;;
    esac
}
if [[ "${funcstack[1]-}" == _nexus ]]; then
    _nexus "$@"
else
    compdef _nexus nexus
fi
"""

_FISH = r"""# fish completion for nexus
function __nexus_complete
    set -l reply (nexus completion fish --line (commandline -cp | string collect) 2>/dev/null)
    switch "$reply[1]"
        case plain
            test (count $reply) -gt 1; and printf '%s\n' $reply[2..-1]
        case files
            __fish_complete_path (commandline -ct)
        case folders
            __fish_complete_directories (commandline -ct)
    end
end
complete -c nexus -f -a '(__nexus_complete)'
"""

SCRIPTS: dict[Shell, str] = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
