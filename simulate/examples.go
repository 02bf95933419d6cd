package simulate

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed examples/*.yaml
var exampleFiles embed.FS

// Examples returns the names of the scenarios that come with the program.
func Examples() (names []string) {
	entries, err := exampleFiles.ReadDir("examples")
	if err != nil {
		panic(err) // the directory is part of the program
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return slices.Sorted(slices.Values(names))
}

// Example returns the scenario of that name that comes with the program.
func Example(name string) (*Scenario, error) {
	text, err := exampleText(name)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

func exampleText(name string) ([]byte, error) {
	if !slices.Contains(Examples(), name) {
		return nil, fmt.Errorf("no scenario called %q comes with the program", name)
	}
	return exampleFiles.ReadFile("examples/" + name + ".yaml")
}
