package peer

import (
	"errors"
	"time"
	"unicode/utf8"

	"claudemesh/seal"
	"claudemesh/wire"
)

// open turns a push into a record. A message is direct only if a box opened
// with the key its sender shows; what was sent to a key is never read in any
// other way, or whoever sits on the path could put words into a peer's mouth.
func (c *Client) open(p *wire.Push) Record {
	r := Record{
		MessageID: p.MessageID, MeshID: p.MeshID, SenderPubkey: p.SenderPubkey,
		SenderMember: p.SenderMember, SenderName: p.SenderName, Priority: p.Priority,
		CreatedAt: p.CreatedAt, ReceivedAt: wire.Time(time.Now()), Kind: Broadcast,
		Subtype: p.Subtype, Event: p.Event, EventData: p.EventData,
		TargetSpec: p.TargetSpec, ReplyTo: p.ReplyTo, Seq: p.Seq,
		ScheduleID: p.ScheduleID, ScheduledFor: p.ScheduledFor,
	}
	if fromOutside(p) {
		r.Plaintext = new(outsideText(p))
		return r
	}
	o, err := c.unseal(p)
	if err != nil {
		r.Failure, r.Nonce, r.Ciphertext = err.Error(), p.Nonce, p.Ciphertext
		return r
	}
	r.Plaintext, r.Kind, r.Authenticated = &o.text, o.kind, o.authenticated
	r.Own = o.authenticated && p.SenderPubkey == c.opts.Mesh.Pubkey
	return r
}

// opened is what is known of a message after opening it.
type opened struct {
	text          string
	kind          Kind
	authenticated bool
}

// unseal opens a message in the one way its target allows.
func (c *Client) unseal(p *wire.Push) (opened, error) {
	target, err := wire.ParseTarget(p.TargetSpec)
	known := err == nil // a broker of an older version does not say
	direct := known && !target.Multicast()
	switch {
	case direct && p.Nonce == "", known && !direct && !seal.IsMulticast(p.Ciphertext):
		return c.openPlain(p)
	case direct:
		return c.openBox(p, target.Name)
	case known:
		return c.openMulticast(p)
	}
	if o, err := c.openBox(p, ""); err == nil {
		return o, nil
	}
	return c.openPlain(p)
}

func (c *Client) openPlain(p *wire.Push) (opened, error) {
	text, err := seal.OpenPlainEnvelope(p.Ciphertext)
	return opened{text: text, kind: Broadcast}, err
}

func (c *Client) openMulticast(p *wire.Push) (opened, error) {
	if c.multicast == nil {
		return opened{}, errors.New("it is encrypted for the mesh, whose root key this machine does not have; join again with a new invite")
	}
	text, sender, err := c.multicast.Open(p.MeshID, p.TargetSpec, p.Nonce, p.Ciphertext)
	switch {
	case err != nil:
		return opened{}, err
	case sender.String() != p.SenderPubkey:
		return opened{}, errors.New("its signature is not that of the sender it shows")
	}
	if copied := c.inbox.twice(p.Nonce, envelopeOf(p)); copied != "" {
		return opened{}, errors.New(copied)
	}
	return opened{text, Broadcast, true}, nil
}

// envelopeOf names what an envelope came with: its message, or the schedule that
// sends one envelope over and over.
func envelopeOf(p *wire.Push) string {
	if p.ScheduleID != "" {
		return "of schedule " + p.ScheduleID
	}
	return p.MessageID
}

// openBox tries the keys that a message to target may be sealed to: the one
// that target names first, if it is known.
func (c *Client) openBox(p *wire.Push, target string) (opened, error) {
	sender, err := seal.ParsePublicKey(p.SenderPubkey)
	if err != nil {
		return opened{}, errors.New("it shows no sender's key to decrypt it with")
	}
	err = errors.New("this machine has no key it could be sealed to")
	for _, key := range c.keysFor(target) {
		var text []byte
		if text, err = c.tryBox(key, sender, p); err != nil {
			continue
		}
		if !utf8.Valid(text) {
			return opened{}, errors.New("it is not UTF-8 text")
		}
		if copied := c.inbox.twice(p.Nonce, envelopeOf(p)); copied != "" {
			return opened{}, errors.New(copied)
		}
		return opened{string(text), Direct, true}, nil
	}
	return opened{}, err
}

func (c *Client) tryBox(key seal.PrivateKey, sender seal.PublicKey, p *wire.Push) ([]byte, error) {
	box, err := c.boxes.get(key, sender)
	if err != nil {
		return nil, err
	}
	return box.Open(p.Nonce, p.Ciphertext)
}

// keysFor returns the keys to try: the session's, the member's, and that of
// another session of this machine if target is its address.
func (c *Client) keysFor(target string) []seal.PrivateKey {
	keys := []seal.PrivateKey{c.own}
	if c.member.Public() != c.own.Public() {
		keys = append(keys, c.member)
	}
	if target == "" || target == c.address || target == c.opts.Mesh.Pubkey || c.opts.KeyByPubkey == nil {
		return keys
	}
	key, err := c.opts.KeyByPubkey(target)
	if err != nil || key.IsZero() {
		c.log.Debug("no key of another session", "target", target, "err", err)
		return keys
	}
	return append([]seal.PrivateKey{key}, keys...)
}
