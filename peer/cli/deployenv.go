package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"claudemesh/wire"
)

// maxToken bounds, in bytes, what is read of a file with a token.
const maxToken = 16 << 10

// readVariables reads the variables of a service: those of files first, then
// those of the command line, a later one in the place of an earlier one. The
// errors name variables and lines, and show no value.
func readVariables(env *Env, files, given []string) (map[string]string, error) {
	vars := make(map[string]string)
	for _, name := range files {
		if err := readEnvFile(env, name, vars); err != nil {
			return nil, err
		}
	}
	for _, one := range given {
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			if value = env.Getenv(name); value == "" {
				return nil, Usagef("--env %s: there is no such variable here to take the value of; give NAME=VALUE", name)
			}
		}
		if !validVariable(name) {
			return nil, Usagef("--env: %s is no name of a variable", wire.Shorten(name, 60))
		}
		vars[name] = value
	}
	if len(vars) == 0 {
		return nil, nil
	}
	return vars, nil
}

// readEnvFile reads lines of NAME=VALUE. Empty lines and those that begin with #
// say nothing; a value may stand in quotes, and export before a name.
func readEnvFile(env *Env, name string, vars map[string]string) error {
	in := env.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	lines := bufio.NewScanner(io.LimitReader(in, wire.MaxServiceEnvBytes))
	lines.Buffer(nil, wire.MaxServiceEnvBytes)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "=")
		if key = strings.TrimSpace(key); !ok || !validVariable(key) {
			return fmt.Errorf("line %d of %s is not NAME=VALUE", n, name)
		}
		vars[key] = unquoted(strings.TrimSpace(value))
	}
	return lines.Err()
}

func unquoted(value string) string {
	if n := len(value); n > 1 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return value[1 : n-1]
	}
	return value
}

func validVariable(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

// sourceToken reads the token for a repository, empty if neither is given.
func sourceToken(env *Env, file, variable string) (string, error) {
	switch {
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer f.Close()
		p, err := io.ReadAll(io.LimitReader(f, maxToken))
		token := strings.TrimSpace(string(p))
		if err == nil && token == "" {
			err = fmt.Errorf("%s is empty", file)
		}
		return token, err
	case variable != "":
		if token := env.Getenv(variable); token != "" {
			return token, nil
		}
		return "", Usagef("--auth-env %s: the variable is not set", variable)
	}
	return "", nil
}
