package cli

import "context"

func completionCommand() Command {
	return Command{
		Name:  "completion",
		Args:  "<shell>",
		Short: "Print the completion script of bash, zsh or fish",
		Long: `The script asks this program for completions, so it need not be renewed when
the program is. To load it in each new shell:
  bash: echo 'source <(claudemesh completion bash)' >> ~/.bashrc
  zsh:  echo 'source <(claudemesh completion zsh)' >> ~/.zshrc   (after compinit)
  fish: claudemesh completion fish > ~/.config/fish/completions/claudemesh.fish`,
		Examples: []string{"claudemesh completion bash", "claudemesh completion fish > ~/.config/fish/completions/claudemesh.fish"},
		NoJSON:   "prints a shell script",
		Complete: map[string]Completer{"shell": Values("bash", "zsh", "fish")},
		Run: func(_ context.Context, env *Env, args []string) error {
			switch args[0] {
			case "bash":
				env.Out().raw(bashCompletion)
			case "zsh":
				env.Out().raw(zshCompletion)
			case "fish":
				env.Out().raw(fishCompletion)
			default:
				return Usagef("no completion for %q: the shells are bash, zsh and fish", args[0])
			}
			return nil
		},
	}
}

// bash splits words at = : and @ too. The script splits the line at blanks
// itself, and then takes from each completion what bash thinks stands before
// the word.
const bashCompletion = `_claudemesh() {
    local line=${COMP_LINE:0:COMP_POINT} words value i
    read -ra words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    local word=${words[${#words[@]}-1]}
    for (( i = ${#word}; i > 0; i-- )); do
        [[ $COMP_WORDBREAKS == *"${word:i-1:1}"* ]] && break
    done
    COMPREPLY=()
    while IFS=$'\t' read -r value _; do
        COMPREPLY+=("${value:i}")
    done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -o default -F _claudemesh claudemesh
`

const zshCompletion = `#compdef claudemesh
_claudemesh() {
    local -a found
    local value help
    while IFS=$'\t' read -r value help; do
        found+=("${value//:/\\:}${help:+:$help}")
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)
    if (( ${#found} )); then
        _describe claudemesh found
    else
        _files
    fi
}
if [[ $funcstack[1] == _claudemesh ]]; then
    _claudemesh "$@"
else
    compdef _claudemesh claudemesh
fi
`

const fishCompletion = `function __claudemesh_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    $words[1] __complete $words[2..-1] "$word" 2>/dev/null
end
complete -c claudemesh -a '(__claudemesh_complete)'
`
