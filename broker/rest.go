package broker

import (
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"claudemesh/seal"
	"claudemesh/store"
)

// atRest encrypts what the broker keeps for members and must read again, under
// a key that can be rotated.
//
// A rotation is a new key on disk, from which on everything is sealed under it;
// then a transaction in each mesh that seals anew what is under another; and,
// when a later look finds nothing under another any more, the keyring without
// the older keys. What was sealed before the new key came and stored after the
// first look is found by that later one. Until the broker ends, the older keys
// stay in memory. Wherever it is killed, the keyring on disk has every key that
// something may be under, and says that the rotation is not over: the next
// start goes on with it, before anything of a mesh is read.
type atRest struct {
	dir  string
	ring atomic.Pointer[seal.RestRing]

	busy  atomic.Bool // a rotation, or the look after it, is under way: it alone changes keys
	keys  atomic.Pointer[store.Keyring]
	alarm *alarm       // for the look after a rotation
	step  func(string) // is told how far a rotation has come; of tests
}

// restPurpose names what the keys are derived for.
const restPurpose = "automation-v1"

func openAtRest(dir string, identity *store.Server) (*atRest, error) {
	derived, err := seal.NewAtRest(identity.Key, restPurpose)
	if err != nil {
		return nil, err
	}
	keys, err := store.OpenKeyring(dir)
	if err != nil {
		return nil, err
	}
	var all []*seal.AtRest
	for _, k := range keys.Keys {
		key, err := seal.NewAtRest(k.Seed, restPurpose)
		if err != nil {
			return nil, err
		}
		all = append(all, key)
	}
	all = append(all, derived) // what was sealed before the first rotation
	a := &atRest{dir: dir, step: func(string) {}}
	a.keys.Store(keys)
	a.ring.Store(seal.NewRestRing(all[0], all[1:]...))
	return a, nil
}

// Seal encrypts what is to be kept. Whoever stores it does so at once.
func (a *atRest) Seal(plaintext []byte) []byte { return a.ring.Load().Seal(plaintext) }

// Open decrypts what was kept. The error wraps seal.ErrOpen.
func (a *atRest) Open(sealed []byte) ([]byte, error) { return a.ring.Load().Open(sealed) }

// unfinished reports whether something may be under another key than the
// newest.
func (a *atRest) unfinished() bool { return a.keys.Load().Resealing }

// renew puts a new key before the others, on disk and then in use.
func (a *atRest) renew() error {
	fresh := store.RestKey{Created: time.Now()}
	rand.Read(fresh.Seed[:])
	key, err := seal.NewAtRest(fresh.Seed, restPurpose)
	if err != nil {
		return err
	}
	next := &store.Keyring{Keys: append([]store.RestKey{fresh}, a.keys.Load().Keys...), Resealing: true}
	if err := store.SaveKeyring(a.dir, next); err != nil {
		return err
	}
	a.step("saved")
	a.keys.Store(next)
	a.ring.Store(a.ring.Load().Renewed(key))
	return nil
}

// retire takes the older keys off the disk. They stay in use.
func (a *atRest) retire() error {
	next := &store.Keyring{Keys: a.keys.Load().Keys[:1]}
	if err := store.SaveKeyring(a.dir, next); err != nil {
		return err
	}
	a.step("retired")
	a.keys.Store(next)
	return nil
}

// older is how many keys there are beside the newest that something may be
// under.
func (a *atRest) older() int {
	keys := a.keys.Load()
	if !keys.Resealing {
		return 0
	}
	return max(1, len(keys.Keys)-1) // before the first rotation that is the broker's own
}

// A resealer seals anew what is under another key than the newest, and reports
// whether it has. What it cannot open it leaves as it is.
type resealer func(sealed []byte) (anew []byte, changed bool)

// reseal has every part of the mesh seal anew what it keeps, and returns how
// many values it is that have changed.
func (m *mesh) reseal(tx *store.Tx) (changed int, err error) {
	ring := m.srv.atRest.ring.Load()
	anew := func(sealed []byte) ([]byte, bool) {
		if len(sealed) == 0 || ring.IsCurrent(sealed) {
			return sealed, false
		}
		plain, err := ring.Open(sealed)
		if err != nil {
			m.log.Error("a value that was kept encrypted cannot be read and is left as it is: was server.json or keys.json replaced?", "err", err)
			return sealed, false
		}
		changed++
		return ring.Seal(plain), true
	}
	err = m.resealWith(tx, anew)
	return changed, err
}

// resealWith has every part of the mesh give what it keeps sealed to anew.
func (m *mesh) resealWith(tx *store.Tx, anew resealer) error {
	for _, f := range m.features() {
		if f.reseal == nil {
			continue
		}
		if err := f.reseal(tx, anew); err != nil {
			return err
		}
	}
	return nil
}

// resealWebhooks seals anew what senders sign with.
func (m *mesh) resealWebhooks(tx *store.Tx, anew resealer) error {
	hooks, err := tx.Webhooks()
	for _, w := range hooks {
		sealed, changed := anew(w.Signing)
		if !changed {
			continue
		}
		w.Signing = sealed
		err = errors.Join(err, tx.RotateWebhook(w))
	}
	return err
}

// resealWatches seals anew the headers of watches. Should the write fail, those
// in memory are ahead of it, and open all the same.
func (m *mesh) resealWatches(tx *store.Tx, anew resealer) error {
	rows, err := tx.Watches()
	for _, row := range rows {
		sealed, changed := anew(row.Headers)
		if changed {
			err = errors.Join(err, tx.SetWatchHeaders(row.ID, sealed))
		}
		m.mu.Lock()
		if w := m.watches[row.ID]; w != nil {
			w.row.Headers = sealed
		}
		m.mu.Unlock()
	}
	return err
}

// resealServices seals anew what is secret of services. In memory there is none
// of it.
func (m *mesh) resealServices(tx *store.Tx, anew resealer) error {
	rows, err := tx.Services()
	for _, row := range rows {
		sealed, changed := anew(row.Secrets)
		if !changed {
			continue
		}
		row.Secrets = sealed
		err = errors.Join(err, tx.SetService(row))
	}
	return err
}
