//! The scripts that make shells ask for candidates.

use crate::cli::tree::Shell;

/// The script that makes a shell ask for candidates, also for the name by which the program was called: a link named
/// `hubble` is completed too.
pub(crate) fn script(shell: Shell, descriptions: bool, called: &str) -> String {
    let ask = if descriptions { "__complete" } else { "__completeNoDesc" };
    let template = match shell {
        Shell::Bash => BASH,
        Shell::Fish => FISH,
        Shell::PowerShell => POWERSHELL,
        Shell::Zsh => ZSH,
    };
    let is_plain = called.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let also = if is_plain && !called.is_empty() && called != "flowctl" { called } else { "" };
    let joined = |between: &str| if also.is_empty() { "flowctl".to_owned() } else { format!("flowctl{between}{also}") };
    let names = match shell {
        Shell::PowerShell => joined(", "),
        Shell::Fish => joined(" -c "),
        Shell::Bash | Shell::Zsh => joined(" "),
    };
    let program = if also.is_empty() { "flowctl" } else { also };
    let own = format!("_{program}");
    template.replace("__complete", ask).replace("NAMES", &names).replace("_OWN", &own).replace("PROGRAM", program)
}

/// Bash cuts words at `=` and `:`, which belong to ours, and replaces what stands behind the last cut only.
const BASH: &str = r#"# bash completion for flowctl
_flowctl() {
    local line piece value quote="" head="" directive=0 i
    local -a words=()
    COMPREPLY=()
    for ((i = 1; i <= COMP_CWORD; i++)); do
        piece="${COMP_WORDS[i]}"
        if ((${#words[@]})) && [[ $piece == [=:]* || ${COMP_WORDS[i-1]} == [=:]* ]]; then
            words[-1]+="$piece"
        else
            words+=("$piece")
        fi
    done
    value="${words[-1]}"
    case "$value" in
        [\'\"]*) quote="${value:0:1}" value="${value:1}" words[-1]="$value" ;;
        *) [[ $value == --*=* ]] && value="${value#*=}"
           head="${value%"${value##*[=:]}"}" ;;
    esac
    while IFS= read -r line; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *) line="${line%%$'\t'*}" line="${line#"$head"}"
               [[ -z $quote && $line == *[[:space:]\'\"\(\)\<\>\&\|\;]* ]] && printf -v line %q "$line"
               COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete "${words[@]}" 2>/dev/null)
    if ((directive & 2)); then compopt -o nospace 2>/dev/null; fi
    if [ "${#COMPREPLY[@]}" -eq 0 ] && [ "$directive" -eq 0 ]; then
        while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
    fi
}
complete -F _flowctl NAMES
"#;

const ZSH: &str = r#"#compdef NAMES
_flowctl() {
    local line directive=0
    local -a candidates asked options
    asked=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    while IFS= read -r line; do
        case "$line" in
            :*) directive="${line#:}" ;;
            *) line="${line//:/\\:}"; candidates+=("${line/$'\t'/:}") ;;
        esac
    done < <("${words[1]}" __complete "${(@)asked}" 2>/dev/null)
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    (( directive & 2 )) && options=(-S '')
    if (( ${#candidates} )); then
        _describe flowctl candidates $options
    elif (( directive == 0 )); then
        _files
    fi
}
# As a file in fpath this is what zsh runs for the first completion.
case "$funcstack[1]" in
    _flowctl|_OWN) _flowctl "$@" ;;
    *) compdef _flowctl NAMES ;;
esac
"#;

const FISH: &str = r#"# fish completion for flowctl
function __flowctl_complete
    set -l words (commandline -opc) (commandline -ct | string trim -l -c '"\'')
    set -l before (string match -r -- '^--[^=]+=' $words[-1])
    set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
    set -l candidates (string match -v -- ':*' $lines | string replace -r -- '^' "$before")
    if test (count $candidates) -gt 0
        string join -- \n $candidates
    else if contains -- ':0' $lines
        __fish_complete_path (commandline -ct)
    end
end
complete -c NAMES -f -a '(__flowctl_complete)'
"#;

const POWERSHELL: &str = r#"# PowerShell completion for flowctl
Register-ArgumentCompleter -Native -CommandName NAMES -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" })
    if ($word -eq '') { $words += '""' }
    PROGRAM __complete @words 2>$null | Where-Object { $_ -notlike ':*' } | ForEach-Object {
        $value, $about = $_ -split "`t", 2
        if (-not $about) { $about = $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
}
"#;
