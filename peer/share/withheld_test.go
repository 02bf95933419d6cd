package share

import "testing"

func TestWithheldPathsAreSecretsAndSettings(t *testing.T) {
	for path, want := range map[string][2]bool{
		"report.pdf":    {false, false},
		"src/main.go":   {false, false},
		"./a":           {false, false},
		".env":          {true, true},
		"a/.git/config": {true, true},
		"a/id_rsa":      {true, false},
		"secrets/x":     {true, false},
		"deploy.PEM":    {true, false},
		"x/prod.env":    {true, false},
		"\u200b.envrc":  {true, true},
		".../x":         {true, true},
	} {
		if got := [2]bool{Withheld(path), Hidden(path)}; got != want {
			t.Errorf("%q: withheld %v, hidden %v", path, got[0], got[1])
		}
	}
}
