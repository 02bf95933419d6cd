package cli

import (
	"context"
	"runtime"
	"runtime/debug"
)

// Build says what this program was built from.
type Build struct {
	Version  string `json:"version"`  // of the module, or dev
	Revision string `json:"revision"` // of the source, or unknown
	Modified bool   `json:"modified"` // the source had changes that the revision lacks
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// ThisBuild returns the build of the running program.
func ThisBuild() Build {
	b := Build{Version: "dev", Revision: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionCommand() Command {
	return Command{
		Name:     "version",
		Short:    "Print the version of this program",
		Examples: []string{"claudemesh version", "claudemesh version --json"},
		JSON:     true,
		Output:   Build{},
		Run:      func(_ context.Context, env *Env, _ []string) error { return printVersion(env) },
	}
}

func printVersion(env *Env) error {
	b := ThisBuild()
	if env.JSON {
		return env.Out().JSON(b)
	}
	changed := ""
	if b.Modified {
		changed = " with changes"
	}
	env.Out().Printf("%s %s (revision %s%s, %s, %s)\n", program, b.Version, b.Revision, changed, b.Go, b.Platform)
	return nil
}
