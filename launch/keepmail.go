package launch

import (
	"cmp"
	"context"
	"errors"
	"os"
	"time"

	"claudemesh/peer"
	"claudemesh/wire"
)

const (
	gatherTime  = 300 * time.Millisecond // for what comes with the first message
	maxGathered = 50
)

// collect connects as the session, reports what was shown, and returns mail
// that the session may be woken with now. Nothing of that is acknowledged: it
// goes to whoever connects next.
func (k *keeper) collect(ctx context.Context) (slug, mode string, records []peer.Record, err error) {
	c, err := peer.LoadConfig(k.dir)
	if err == nil && len(c.Meshes) == 0 {
		err = errors.New("the configuration of the session has no mesh")
	}
	if err != nil {
		return "", "", nil, err
	}
	client, err := k.connect(ctx, c)
	if err != nil {
		return "", "", nil, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		client.Close(closing) // what was not told the broker will be, next time
	}()
	first, err := k.first(ctx, client)
	if err != nil {
		return "", "", nil, err
	}
	mode = cmp.Or(c.MessageMode, client.Hello().MemberProfile.MessageMode, "push")
	rest, err := k.gather(ctx, client)
	return c.Meshes[0].Slug, mode, append([]peer.Record{first}, rest...), err
}

// connect starts the connection and says that the session is idle, so that
// what was held back from a busy one comes.
func (k *keeper) connect(ctx context.Context, c *peer.Config) (*peer.Client, error) {
	m, keys := &c.Meshes[0], c.SessionKeys()
	key, err := keys.Key(m.MeshID, k.SessionID)
	if err != nil {
		return nil, err
	}
	o := peer.Options{
		Mesh: *m, SessionID: k.SessionID, SessionKey: key, DisplayName: c.DisplayName, Role: c.Role, Groups: c.Groups, PID: os.Getpid(),
		PeerType: "ai", Channel: "keeper", AutoAck: peer.AckOnSeen, Logger: k.Logger,
		KeyByPubkey: keys.Finder(m.MeshID),
	}
	// Both are for others to see; the session works without.
	o.Cwd, _ = os.Getwd()
	o.Hostname, _ = os.Hostname()
	client, err := peer.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, brokerTime)
	defer cancel()
	if client.Ready(ready) == nil {
		h := wire.HookStatus{Cwd: o.Cwd, Status: wire.Idle, PID: o.PID, SessionID: k.SessionID}
		if err := postStatus(ready, m, h); err != nil {
			k.Logger.Debug("status not reported", "err", err)
		}
	}
	return client, nil
}

// first waits for a message that wakes the session, as long as it is waited
// for, and until it may be woken again.
func (k *keeper) first(ctx context.Context, client *peer.Client) (peer.Record, error) {
	waiting, cancel := context.WithDeadlineCause(ctx, k.used.Add(keptClosed), errIdle)
	defer cancel()
	r, err := k.next(waiting, client)
	if err != nil && waiting.Err() != nil {
		return r, context.Cause(waiting)
	}
	if err != nil {
		return r, err
	}
	pause := time.Until(k.pace.free(time.Now(), k.WakesPerHour))
	if pause > 0 {
		k.Logger.Warn("mail waits, because the session was woken too often", "wakes", k.WakesPerHour, "for", pause.Round(time.Second))
	}
	return r, stayOpen(ctx, client, pause)
}

// gather returns what comes along with the first message.
func (k *keeper) gather(ctx context.Context, client *peer.Client) (records []peer.Record, err error) {
	gathering, cancel := context.WithTimeout(ctx, gatherTime)
	defer cancel()
	for len(records) < maxGathered {
		r, err := k.next(gathering, client)
		if err != nil && gathering.Err() != nil {
			return records, context.Cause(ctx)
		}
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}

// next returns the next message that wakes the session, and reports those
// that it was shown before.
func (k *keeper) next(ctx context.Context, client *peer.Client) (peer.Record, error) {
	for {
		r, err := client.Next(ctx)
		switch {
		case errors.Is(err, peer.ErrSuperseded):
			return r, errOpened
		case err != nil:
			return r, err
		case k.shown[r.MessageID]:
			client.MarkSeen(r.MessageID)
			continue
		case k.announced[r.MessageID]:
			continue
		}
		if r.SenderName == "" {
			asking, cancel := context.WithTimeout(ctx, time.Second)
			r.SenderName = client.Name(asking, r.SenderPubkey)
			cancel()
		}
		return r, nil
	}
}

// stayOpen waits for d, or until another process takes the session over.
func stayOpen(ctx context.Context, client *peer.Client, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	for {
		changed := client.Changed()
		if client.State() == peer.StateClosed {
			return errOpened
		}
		select {
		case <-timer.C:
			return nil
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
