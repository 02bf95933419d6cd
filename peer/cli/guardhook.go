package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// hookMark is a line by which the hook is known as ours.
const hookMark = "# claudemesh guard: refuses commits of what somebody else has reserved"

// savedHook is what a hook that was there before is called; ours runs it first.
const savedHook = "pre-commit.before-claudemesh"

// guardHookJSON says what guard install and guard uninstall did.
type guardHookJSON struct {
	Hook    string `json:"hook"`              // file of the hook
	Changed bool   `json:"changed"`           // false where it was so before
	Other   string `json:"other,omitempty"`   // file of the hook that was there before
	Command string `json:"command,omitempty"` // what the hook runs
}

func guardInstallCommand() Command {
	var strict bool
	return Command{
		Name:  "install",
		Short: "Add the check to the commits of this repository",
		Long: `It is the pre-commit hook of the repository, for all its working trees. A hook that is
there already stays and runs first. Commits of a repository that is not installed in, and
those of git commit --no-verify, are not checked.`,
		Examples: []string{"claudemesh guard install", "claudemesh guard install --strict"},
		JSON:     true, Output: guardHookJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&strict, "strict", false, "refuse commits also while a broker cannot be asked")
		},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			hook, err := hookFile(ctx)
			if err != nil {
				return err
			}
			done, err := installGuard(hook, strict)
			switch {
			case err != nil:
				return err
			case env.JSON:
				return env.Out().JSON(done)
			case !done.Changed:
				env.Out().Printf("The guard is in %s already.\n", done.Hook)
				return nil
			}
			env.Out().Printf("Commits are checked by %s.\n", done.Hook)
			if done.Other != "" {
				env.Out().Printf("The hook that was there runs first: %s\n", done.Other)
			}
			return nil
		},
	}
}

func guardUninstallCommand() Command {
	return Command{
		Name:     "uninstall",
		Short:    "Take the check out of this repository again",
		Examples: []string{"claudemesh guard uninstall"},
		JSON:     true, Output: guardHookJSON{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			hook, err := hookFile(ctx)
			if err != nil {
				return err
			}
			done, err := uninstallGuard(hook)
			switch {
			case err != nil:
				return err
			case env.JSON:
				return env.Out().JSON(done)
			case !done.Changed:
				env.Out().Printf("There is no guard in %s.\n", done.Hook)
			case done.Other != "":
				env.Out().Printf("The guard is gone; %s is the hook that was there before.\n", done.Hook)
			default:
				env.Out().Printf("The guard is gone from %s.\n", done.Hook)
			}
			return nil
		},
	}
}

// hookFile returns the pre-commit hook of the repository of this directory.
func hookFile(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--git-path", "hooks/pre-commit").Output()
	if err != nil {
		return "", errors.New("this directory is in no git repository")
	}
	return filepath.Abs(strings.TrimRight(string(out), "\r\n"))
}

// hookText is the hook. It lets a commit pass where the program is gone.
func hookText(program string, strict bool) string {
	flag := ""
	if strict {
		flag = " --strict"
	}
	return fmt.Sprintf(`#!/bin/sh
%s
before="$(dirname "$0")/%s"
if [ -x "$before" ]; then
	"$before" "$@" || exit $?
fi
program=%s
if [ ! -x "$program" ]; then
	echo "claudemesh guard: $program is gone, reservations were not checked" >&2
	exit 0
fi
exec "$program" guard check%s
`, hookMark, savedHook, quoteShell(filepath.ToSlash(program)), flag)
}

// quoteShell is text as one word of sh.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// ours reports whether the file is a hook of ours, and whether there is one at all.
func ours(hook string) (is, there bool, err error) {
	text, err := os.ReadFile(hook)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return bytes.Contains(text, []byte(hookMark)), err == nil, err
}

func installGuard(hook string, strict bool) (guardHookJSON, error) {
	done := guardHookJSON{Hook: hook}
	program, err := os.Executable()
	if err != nil {
		return done, err
	}
	text := hookText(program, strict)
	done.Command = filepath.ToSlash(program) + " guard check"
	if strict {
		done.Command += " --strict"
	}
	before := filepath.Join(filepath.Dir(hook), savedHook)
	is, there, err := ours(hook)
	if err != nil {
		return done, err
	}
	if there && !is {
		if _, err := os.Lstat(before); err == nil {
			return done, fmt.Errorf("%s is not the guard's, and %s exists: put one of them away first", hook, before)
		}
		if err := os.Rename(hook, before); err != nil {
			return done, err
		}
	}
	if _, err := os.Lstat(before); err == nil {
		done.Other = before
	}
	if old, err := os.ReadFile(hook); err == nil && string(old) == text {
		return done, nil
	}
	done.Changed = true
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		return done, err
	}
	if err := os.WriteFile(hook, []byte(text), 0o755); err != nil {
		return done, err
	}
	return done, os.Chmod(hook, 0o755) // one that was there keeps its mode else
}

func uninstallGuard(hook string) (guardHookJSON, error) {
	done := guardHookJSON{Hook: hook}
	is, _, err := ours(hook)
	if err != nil || !is {
		return done, err
	}
	if err := os.Remove(hook); err != nil {
		return done, err
	}
	done.Changed = true
	before := filepath.Join(filepath.Dir(hook), savedHook)
	err = os.Rename(before, hook)
	if errors.Is(err, fs.ErrNotExist) {
		return done, nil
	}
	done.Other = before
	return done, err
}
