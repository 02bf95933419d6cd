package tools

import (
	"slices"
	"strings"
	"time"

	"claudemesh/peer"
)

// PromptedVariable is the environment variable that names, with blanks between,
// the messages whose text the session was started with: the prompt has shown
// them, and whoever gave it reports them as seen.
const PromptedVariable = "CLAUDEMESH_PROMPTED"

// Prompt puts messages of one mesh into the words in which hooks give them to
// a model: labelled, made harmless, and long ones by their first line. Mode is
// push, inbox for a notice without any text, or off for nothing at all. Text
// has about max bytes. What did not fit is counted in More and is not among
// the Records.
func Prompt(slug, mode string, records []peer.Record, max int) peer.MailAnswer {
	m := &mesh{slug: slug}
	var letters []*letter
	for _, r := range records {
		letters = append(letters, &letter{mesh: m, rec: r})
	}
	p := newPost(mode)
	p.letters = letters
	return p.take(peer.MailRequest{Way: peer.WayWake, MaxBytes: max})
}

// promptedIDs returns the messages that the session was started with.
func promptedIDs(getenv func(string) string) []string {
	return strings.Fields(getenv(PromptedVariable))
}

// wasPrompted takes note that the session was started with these messages. It
// is called before any mail comes.
func (p *post) wasPrompted(ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prompted = ids
}

// arrived returns the letter of a message that came in. One that the session
// was started with is kept for whoever asks, and pushed by no way. It is
// called with mu held.
func (p *post) arrived(m *mesh, r peer.Record) *letter {
	l := &letter{mesh: m, rec: r}
	if slices.Contains(p.prompted, r.MessageID) {
		l.take(peer.WayWake, time.Now(), true)
		l.brief = true
	}
	return l
}
