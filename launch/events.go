package launch

// The events of Claude Code's hooks that matter here.
const (
	sessionStart     = "SessionStart"
	userPromptSubmit = "UserPromptSubmit"
	postToolUse      = "PostToolUse"
	stop             = "Stop"
	sessionEnd       = "SessionEnd"
)
