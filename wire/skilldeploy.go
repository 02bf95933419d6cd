package wire

// SkillDeploy publishes a skill from a bundle: a directory with a SKILL.md and
// what else the skill is about. A skill.json beside it may have name,
// description and tags; the front matter of SKILL.md has what that lacks. It
// replaces the skill of that name, under the rules of ShareSkill. What keeps
// the bundle from being fetched is a DeployError; one without SKILL.md or a
// name is a BadRequest.
type SkillDeploy struct {
	Source ServiceSource `json:"source"` // zip or git
}

// SkillDeployAck answers SkillDeploy, once the bundle is fetched: that takes
// up to SkillDeployDeadline.
type SkillDeployAck struct {
	Name   string   `json:"name"`
	Files  []string `json:"files"`            // what the bundle has, relative to it, ascending
	Commit string   `json:"commit,omitempty"` // of git
}

func (SkillDeploy) FrameType() Type    { return "skill_deploy" }
func (SkillDeployAck) FrameType() Type { return "skill_deploy_ack" }

func (SkillDeploy) answer() (r SkillDeployAck) { return }
