package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

// skillDeployFlags are the flags of skill deploy.
type skillDeployFlags struct{ branch, authFile, authEnv string }

func skillDeployCommand() Command {
	var f skillDeployFlags
	return Command{
		Name: "deploy", Args: "<dir|zip|url>", Short: "Share a skill of several files, from a directory, an archive or a git repository",
		Long: `A bundle has a SKILL.md at its top, with instructions and front matter as for
skill share. A skill.json beside it can say name, description and tags. Members get
the text and the list of files; what the files hold stays where they came from.

A directory is packed and uploaded, without .git and what may hold secrets. The
broker fetches a repository by https, without its history.`,
		Examples: []string{
			"claudemesh skill deploy ~/skills/release", "claudemesh skill deploy review.zip",
			"claudemesh skill deploy https://github.com/team/review-skill --branch main",
		},
		Mesh: true, JSON: true, Output: wire.SkillDeployAck{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.branch, "branch", "", "take this `branch` of the repository")
			fs.StringVar(&f.authFile, "auth-file", "", "read the token for the repository from `file`")
			fs.StringVar(&f.authEnv, "auth-env", "", "take the token for the repository from this `variable`")
		},
		Run: func(ctx context.Context, env *Env, args []string) error { return f.run(ctx, env, args[0]) },
	}
}

func (f *skillDeployFlags) run(ctx context.Context, env *Env, from string) error {
	src, bundle, err := f.source(env, from)
	if err != nil {
		return err
	}
	defer bundle.close()
	return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
		if src.FileID, err = bundle.upload(ctx, env, c); err != nil {
			return err
		}
		done := env.Progress("the broker reads " + from)
		res, err := c.DeploySkill(ctx, src)
		done()
		bundle.withdraw(ctx, c, src.FileID)
		switch {
		case errors.Is(err, peer.ErrTimeout) || errors.Is(err, peer.ErrLost):
			return WithHint(err, "the broker may go on with it: `claudemesh skill list` says whether it has")
		case err != nil:
			return err
		case env.JSON:
			return env.Out().JSON(res)
		}
		env.Out().Printf("Shared %s, with a list of %s, with the members of %s. In their sessions it is /claudemesh:%s.\n", Styled{Bold, res.Name}, many(len(res.Files), "file"), c.Mesh().Slug, res.Name)
		if res.Commit != "" {
			env.Out().Printf("commit %s\n", res.Commit)
		}
		return nil
	})
}

// source is what an argument means, with the archive that is to be uploaded, nil
// if there is none.
func (f *skillDeployFlags) source(env *Env, from string) (src wire.ServiceSource, bundle *archive, err error) {
	if strings.Contains(from, "://") {
		if f.authFile != "" && f.authEnv != "" {
			return src, nil, Usagef("--auth-file and --auth-env exclude each other")
		}
		src = wire.ServiceSource{Kind: wire.SourceGit, URL: from, Branch: f.branch}
		src.Auth, err = sourceToken(env, f.authFile, f.authEnv)
		return src, nil, err
	}
	if f.branch+f.authFile+f.authEnv != "" {
		return src, nil, Usagef("--branch, --auth-file and --auth-env go with the https URL of a repository")
	}
	src.Kind = wire.SourceZip
	info, err := os.Stat(from)
	switch {
	case err != nil:
		return src, nil, err
	case !info.IsDir():
		file, err := os.Open(from)
		return src, &archive{file: file}, err
	}
	if _, err := os.Stat(filepath.Join(from, "SKILL.md")); err != nil {
		return src, nil, fmt.Errorf("%s has no SKILL.md", from)
	}
	bundle, err = packDir(env, from, "skill")
	return src, bundle, err
}
