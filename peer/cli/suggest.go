package cli

import "strings"

// visibleNames returns the names of the commands below c that help shows.
func visibleNames(c *Command) []string {
	var names []string
	for i := range c.Sub {
		if s := &c.Sub[i]; s.Name != "" && !s.Hidden {
			names = append(names, s.Name)
		}
	}
	return names
}

// nearestCommand returns the command line that a mistyped word after path was
// most likely meant to be, "" if none is near. A name that exists at another
// place of the tree is near too: `revoke` for `members revoke`.
func nearestCommand(path []*Command, word string) string {
	here := path[len(path)-1]
	if name := nearest(word, visibleNames(here)); name != "" {
		return spelling(path) + " " + name
	}
	found := ""
	walk(path[:1], func(path []*Command) {
		if c := path[len(path)-1]; found == "" && c.Name == word && !c.Hidden {
			found = spelling(path)
		}
	})
	return found
}

// nearest returns the one of names that differs least from word, "" if all
// differ by more than a third of its letters, or by more than one in a short
// word. A name that word begins is near.
func nearest(word string, names []string) string {
	word = strings.ToLower(word)
	best, least := "", max(2, (len(word)+1)/3+1)
	for _, name := range names {
		d := distance(word, name)
		if len(word) > 1 && strings.HasPrefix(name, word) {
			d = 1
		}
		if d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of bytes to insert, remove, replace or swap with the
// neighbour to make b of a (optimal string alignment).
func distance(a, b string) int {
	const maxLen = 64 // of words worth a suggestion
	if len(a) > maxLen || len(b) > maxLen {
		return maxLen
	}
	var d [maxLen + 1][maxLen + 1]int
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			if i == 0 || j == 0 {
				d[i][j] = i + j
				continue
			}
			replace := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			d[i][j] = min(replace, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
