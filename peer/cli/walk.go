package cli

import "strings"

// Walk calls visit for the root, for each command of the table and for those of
// extra, with the names that lead to it. It is for what is written from the table.
func Walk(extra []Command, visit func(names []string, c *Command)) {
	root := newRoot(extra)
	visit([]string{root.Name}, root)
	walk([]*Command{root}, func(path []*Command) {
		visit(strings.Fields(spelling(path)), path[len(path)-1])
	})
}

// walk calls visit for each command below the last of path, with its path.
func walk(path []*Command, visit func(path []*Command)) {
	c := path[len(path)-1]
	for i := range c.Sub {
		below := append(path[:len(path):len(path)], &c.Sub[i])
		visit(below)
		walk(below, visit)
	}
}
