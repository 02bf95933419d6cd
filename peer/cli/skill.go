package cli

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"

	"claudemesh/peer"
	"claudemesh/skillfile"
	"claudemesh/wire"
)

// removedJSON names what a command removed.
type removedJSON struct {
	Name string `json:"name"`
}

func skillCommand() Command {
	return Command{
		Name: "skill", Theme: Share, Short: "Share instructions with the other members",
		Long: `A skill is a text that tells an agent how to do something. In sessions of the
members it is a slash command, /claudemesh:<name>, and a resource.`,
		Sub: []Command{skillShareCommand(), skillDeployCommand(), skillGetCommand(), skillListCommand(), skillSearchCommand(), skillRmCommand()},
	}
}

func skillShareCommand() Command {
	var name string
	var tags repeated
	return Command{
		Name: "share", Args: "<file|dir>", Short: "Share a SKILL.md, or replace the one shared before",
		Long: `The front matter may have name, description, tags, when_to_use, allowed-tools,
model, context (inline or fork), agent, user-invocable and argument-hint; other keys
are left out. A skill without a name is called as its directory. Only you and
admins can replace or remove what you share.`,
		Examples: []string{"claudemesh skill share ~/.claude/skills/review", "claudemesh skill share notes/release.md --name release --tag ops"},
		Mesh:     true, JSON: true, Output: wire.SkillAck{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&name, "name", "", "call it `name`")
			fs.Var(&tags, "tag", "label it with `text`; may be repeated")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			s, err := skillfile.Read(args[0])
			if err != nil {
				return err
			}
			if name != "" {
				s.Name = name
			}
			for _, tag := range tags {
				if !slices.Contains(s.Tags, tag) {
					s.Tags = append(s.Tags, tag)
				}
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, *s)
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(res)
				}
				env.Out().Printf("Shared %s with the members of %s. In their sessions it is /claudemesh:%s.\n", Styled{Bold, res.Name}, c.Mesh().Slug, res.Name)
				return nil
			})
		},
	}
}

func skillGetCommand() Command {
	return Command{
		Name: "get", Args: "<name>", Short: "Print a skill as a SKILL.md",
		Long:     "It is the text of another member: read it before you have an agent follow it.",
		Examples: []string{"claudemesh skill get review", "claudemesh skill get review > SKILL.md"},
		Mesh:     true, JSON: true, Output: wire.Skill{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, wire.GetSkill{Name: args[0]})
				switch {
				case err != nil:
					return err
				case res.Skill == nil:
					return noSkill(args[0], c)
				case env.JSON:
					return env.Out().JSON(res.Skill)
				}
				env.Err().Printf("Shared by %s (key %s), %s.\n", res.Skill.Author, shortKey(res.Skill.AuthorPubkey), res.Skill.UpdatedAt)
				if n := len(res.Skill.Files); n > 0 {
					env.Err().Printf("It comes from a bundle with %s, which --json lists.\n", many(n, "file"))
				}
				env.Out().Text(peer.SkillFile(res.Skill))
				return nil
			})
		},
	}
}

func noSkill(name string, c *peer.Client) error {
	return WithHint(fmt.Errorf("there is no skill %q in %s", name, c.Mesh().Slug), "`claudemesh skill list` shows the skills")
}

func skillListCommand() Command {
	return Command{
		Name: "list", Short: "List the skills of a mesh", Examples: []string{"claudemesh skill list", "claudemesh skill list --json"},
		Mesh: true, JSON: true, Output: []wire.SkillBrief{},
		Run: func(ctx context.Context, env *Env, _ []string) error { return listSkills(ctx, env, "") },
	}
}

func skillSearchCommand() Command {
	return Command{
		Name: "search", Args: "<text>", Short: "Find skills by name, description or tag", Examples: []string{"claudemesh skill search review"},
		Mesh: true, JSON: true, Output: []wire.SkillBrief{},
		Run: func(ctx context.Context, env *Env, args []string) error { return listSkills(ctx, env, args[0]) },
	}
}

func listSkills(ctx context.Context, env *Env, query string) error {
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		all, err := c.Skills(ctx, query)
		if err != nil {
			return err
		}
		if env.JSON {
			return env.Out().JSON(append([]wire.SkillBrief{}, all...))
		}
		table := env.Out().Table("SKILL", "BY", "UPDATED", "TAGS", "DESCRIPTION")
		for _, s := range all {
			table.Row(Styled{Bold, s.Name}, s.Author, s.UpdatedAt, strings.Join(s.Tags, " "), s.Description)
		}
		table.Flush()
		switch {
		case len(all) == 0 && query != "":
			env.Err().Printf("No skill of %s has %q in its name, description or tags.\n", c.Mesh().Slug, query)
		case len(all) == 0:
			env.Err().Printf("%s has no skills. Share one with `claudemesh skill share <file|dir>`.\n", c.Mesh().Slug)
		}
		return nil
	})
}

func skillRmCommand() Command {
	return Command{
		Name: "rm", Args: "<name>", Short: "Take a skill back",
		Long:     "For who shared it, and admins.",
		Examples: []string{"claudemesh skill rm review"},
		Mesh:     true, JSON: true, Output: removedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				res, err := peer.Call(ctx, c, wire.RemoveSkill{Name: args[0]})
				switch {
				case err != nil:
					return err
				case res.Action == wire.SkillNotFound:
					return noSkill(args[0], c)
				case env.JSON:
					return env.Out().JSON(removedJSON{args[0]})
				}
				env.Out().Printf("Removed %s from %s.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}
