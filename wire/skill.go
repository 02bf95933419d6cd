package wire

// ShareSkill publishes an instruction text for the other members, or replaces
// all of one but its creation time. Only the member who shared a skill, and
// admins, may replace it.
type ShareSkill struct {
	Name         string         `json:"name"`         // 1 to MaxSkillName characters, none of them a control character
	Description  string         `json:"description"`  // at most MaxSkillText characters
	Instructions string         `json:"instructions"` // Markdown, at most MaxInstructionBytes
	Tags         []string       `json:"tags,omitempty"`
	Manifest     *SkillManifest `json:"manifest,omitempty"`
}

// SkillManifest says how a skill is meant to be used.
type SkillManifest struct {
	WhenToUse    string   `json:"when_to_use,omitempty"`   // for a model that chooses by itself
	AllowedTools []string `json:"allowed_tools,omitempty"` // the tools it may use
	Model        string   `json:"model,omitempty"`         // the model to run it with
	// Context is inline, which is meant if it is absent, or fork: to be run in a
	// sub-agent.
	Context string `json:"context,omitempty"`
	Agent   string `json:"agent,omitempty"` // type of that sub-agent
	// UserInvocable is false of a skill that is not offered as a command.
	UserInvocable *bool  `json:"user_invocable,omitempty"`
	ArgumentHint  string `json:"argument_hint,omitempty"` // what to write after the command
	// Description takes the place of the skill's own in prompts.
	Description string `json:"description,omitempty"`
}

// Values of SkillManifest.Context.
const (
	SkillInline = "inline"
	SkillFork   = "fork"
)

// SkillAck answers ShareSkill and RemoveSkill.
type SkillAck struct {
	Name   string `json:"name"`
	Action string `json:"action"` // shared, removed or not_found
}

// Values of SkillAck.Action.
const (
	SkillWasShared  = "shared"
	SkillWasRemoved = "removed"
	SkillNotFound   = "not_found"
)

// GetSkill asks for a skill with its text.
type GetSkill struct {
	Name string `json:"name"`
}

// SkillData answers GetSkill.
type SkillData struct {
	Skill *Skill `json:"skill"` // null if there is none of that name
}

// Skill is an instruction text that a member has shared. It is a peer's text.
type Skill struct {
	Name         string         `json:"name"`
	Description  string         `json:"description"`  // what it is for
	Instructions string         `json:"instructions"` // Markdown
	Tags         []string       `json:"tags"`         // words to find it by
	Author       string         `json:"author"`       // display name
	Manifest     *SkillManifest `json:"manifest"`     // how it is meant to be used
	CreatedAt    Time           `json:"createdAt"`
	UpdatedAt    Time           `json:"updatedAt"`    // when it was last shared
	AuthorPubkey string         `json:"authorPubkey"` // of the member
	// SourceType says what a skill was deployed from, zip or git; absent if it was
	// shared as a text.
	SourceType SourceType `json:"sourceType,omitempty"`
	Commit     string     `json:"commit,omitempty"` // that was deployed, of git
	// Files are what its bundle had, SKILL.md among them. Their content is not kept.
	Files []SkillFile `json:"files,omitempty"`
}

// SkillFile is a file of a bundle.
type SkillFile struct {
	Path string `json:"path"` // relative to the bundle, with / between its parts
	Size int64  `json:"size"` // bytes
}

// ListSkills asks which skills there are.
type ListSkills struct {
	// Query narrows the list to skills that have it in their name, description or
	// a tag, in any case.
	Query string `json:"query,omitempty"`
	// After asks for what comes after that name, where a SkillList had More.
	After string `json:"after,omitempty"`
}

// SkillList answers ListSkills, ascending by name.
type SkillList struct {
	Skills []SkillBrief `json:"skills"`
	// More is set where a frame had no room for all.
	More bool `json:"more,omitempty"`
}

// SkillBrief is a skill without its text.
type SkillBrief struct {
	Name         string         `json:"name"`
	Description  string         `json:"description"` // what it is for
	Tags         []string       `json:"tags"`        // words to find it by
	Author       string         `json:"author"`      // display name
	CreatedAt    Time           `json:"createdAt"`
	UpdatedAt    Time           `json:"updatedAt"`          // when it was last shared
	AuthorPubkey string         `json:"authorPubkey"`       // of the member
	Manifest     *SkillManifest `json:"manifest,omitempty"` // how it is meant to be used
}

// RemoveSkill removes a skill. Only the member who shared it, and admins, may.
type RemoveSkill struct {
	Name string `json:"name"`
}

// SkillShared tells of a skill that was shared or replaced.
type SkillShared struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Author      string `json:"author"`
}

// SkillRemoved tells of a skill that is gone.
type SkillRemoved struct {
	Name string `json:"name"`
	By   string `json:"by"`
}

func (ShareSkill) FrameType() Type  { return "share_skill" }
func (SkillAck) FrameType() Type    { return "skill_ack" }
func (GetSkill) FrameType() Type    { return "get_skill" }
func (SkillData) FrameType() Type   { return "skill_data" }
func (ListSkills) FrameType() Type  { return "list_skills" }
func (SkillList) FrameType() Type   { return "skill_list" }
func (RemoveSkill) FrameType() Type { return "remove_skill" }

func (ShareSkill) answer() (r SkillAck)  { return }
func (GetSkill) answer() (r SkillData)   { return }
func (ListSkills) answer() (r SkillList) { return }
func (RemoveSkill) answer() (r SkillAck) { return }
