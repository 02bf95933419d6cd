package cli

import (
	"context"
	"flag"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func contextCommand() Command {
	return Command{
		Name: "context", Theme: Share, Short: "Share what you have learned of the work, and find what others have",
		Long: `A context is a summary with the files that were read and what was found, one of
each member. To share again replaces it.`,
		Sub: []Command{contextShareCommand(), contextGetCommand(), contextListCommand()},
	}
}

func contextShareCommand() Command {
	var files, findings, tags repeated
	return Command{
		Name:  "share",
		Args:  "<summary>",
		Short: "Share what you have learned, in place of what you shared before",
		Long:  "A summary that is - is read from standard input.",
		Examples: []string{
			`claudemesh context share "The parser is slow as it parses twice" --file src/parse.go --finding "tokens are not cached" --tag perf`,
		},
		Mesh: true, JSON: true, Output: wire.ContextShared{},
		Flags: func(fs *flag.FlagSet) {
			fs.Var(&files, "file", "you have read this `path`; may be repeated")
			fs.Var(&findings, "finding", "you have found this `fact`; may be repeated")
			fs.Var(&tags, "tag", "let it be found by this `word`; may be repeated")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			summary, err := readText(env, args[0])
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				shared, err := peer.Call(ctx, c, wire.ShareContext{Summary: summary, FilesRead: files, KeyFindings: findings, Tags: tags})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(shared)
				}
				env.Out().Printf("Shared with %s.\n", c.Mesh().Slug)
				return nil
			})
		},
	}
}

func contextGetCommand() Command {
	return Command{
		Name:  "get",
		Args:  "[word]...",
		Short: "Find what others have shared, by words, a part of a path, or a tag",
		Long: `A context is found that has all the words, in any form, or the whole text as it
stands, be it in the summary, the files, the findings or the tags. No character
is special. The newest come first, at most 20; without words, of all.`,
		Examples: []string{"claudemesh context get parser", "claudemesh context get src/parse.go --json"},
		Mesh:     true, JSON: true, Output: []wire.SharedContext{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				found, err := peer.Call(ctx, c, wire.GetContext{Query: strings.Join(args, " ")})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(found.Contexts)
				}
				for i := range found.Contexts {
					printContext(env, &found.Contexts[i])
				}
				if len(found.Contexts) == 0 {
					env.Err().Printf("Nobody in %s has shared anything of that.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}

func printContext(env *Env, c *wire.SharedContext) {
	out := env.Out()
	tags := ""
	if len(c.Tags) > 0 {
		tags = " [" + strings.Join(c.Tags, ", ") + "]"
	}
	out.Printf("%s %s%s\n", Styled{Bold, c.PeerName}, c.UpdatedAt, tags)
	indented(out, c.Summary)
	for _, finding := range c.KeyFindings {
		out.Printf("  finding: %s\n", finding)
	}
	for _, file := range c.FilesRead {
		out.Printf("  file: %s\n", file)
	}
}

func contextListCommand() Command {
	return Command{
		Name:     "list",
		Short:    "List what each member has shared",
		Examples: []string{"claudemesh context list", "claudemesh context list --json"},
		Mesh:     true, JSON: true, Output: []wire.ContextBrief{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListContexts{})
				if err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(list.Contexts)
				}
				table := env.Out().Table("PEER", "WHEN", "TAGS", "SUMMARY")
				for _, c := range list.Contexts {
					table.Row(Styled{Bold, c.PeerName}, c.UpdatedAt, strings.Join(c.Tags, " "), c.Summary)
				}
				table.Flush()
				if len(list.Contexts) == 0 {
					env.Err().Printf("Nobody in %s has shared a context yet.\n", c.Mesh().Slug)
				}
				return nil
			})
		},
	}
}
