package peer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"

	"claudemesh/seal"
	"claudemesh/wire"
)

// Options say who a Client is. Only Mesh is required.
type Options struct {
	// Mesh is the entry of the configuration: ids, keys, broker, root key.
	Mesh Mesh
	// SessionID is the id of the host session. Outside of one it may be empty:
	// a client that is no command takes a random one, so that a connection
	// after a lost one is the same session.
	SessionID string
	// SessionKey is the session's key, which becomes the address. Without it
	// the client is addressed by the member key.
	SessionKey seal.PrivateKey
	// Transient marks a command: no presence, no mail unless Drain is set.
	Transient bool
	// Drain asks for the mail that waits for the address, which only a command
	// has to ask for, and to be told when it has come; see Client.Drained.
	Drain bool
	// Alone says, with Drain, that no process holds the session: mail that one
	// had received and its model had not seen is pushed again.
	Alone bool

	// What others see of the session. Zero values are left out.
	DisplayName string
	Cwd         string
	Hostname    string
	PID         int
	PeerType    string // ai, human or connector
	Channel     string // kind of client
	Model       string
	Role        string
	// Groups are joined after every hello that did not restore them.
	Groups []wire.Group

	// AutoAck says when received mail is acknowledged.
	AutoAck AckPolicy
	// EncryptMulticast says how messages to more than one recipient travel.
	EncryptMulticast MulticastPolicy
	// KeyByPubkey finds the key of another session of this machine, so that
	// mail sealed to a session that is gone can be opened. It may be nil; an
	// error means that there is none.
	KeyByPubkey func(pubkey string) (seal.PrivateKey, error)
	// ShareFrom is the configuration directory whose sharedDirs say which files
	// of this machine other peers may read; see Config.Shared. It is looked at
	// for each request. Empty shares nothing.
	ShareFrom string
	// ToolCall answers the calls of servers that the client has registered with
	// RegisterServer, or an earlier session of the member has. It may wait, until
	// ctx ends. Its error is for the caller to read. Nil refuses every call.
	ToolCall func(ctx context.Context, call ToolCall) (wire.Value, error)
	// Logger takes what is of use to whoever looks for a fault; nil discards.
	Logger *slog.Logger

	dial   dialFunc       // replaced in tests
	jitter func() float64 // from 0 up to 1, replaced in tests
}

// AckPolicy says when received mail is acknowledged to the broker.
type AckPolicy int

// The policies. MarkSeen acknowledges with each.
const (
	// AckOnReceipt reports delivered as soon as the record is in the inbox.
	AckOnReceipt AckPolicy = iota
	// AckOnSeen reports nothing until MarkSeen, so that mail that this process
	// does not get to show is offered again.
	AckOnSeen
)

// MulticastPolicy says how a message to a group or to everyone travels.
type MulticastPolicy int

// The policies.
const (
	// MulticastAuto seals with the mesh's root key unless the mesh has none,
	// the broker or a session in the list of peers is of an older version, or
	// the list cannot be had. Clients of older versions that are offline cannot
	// be known: they will find such a message unreadable.
	MulticastAuto MulticastPolicy = iota
	// MulticastPlain sends text that the broker can read and nobody signed.
	MulticastPlain
	// MulticastSealed always seals, and fails without a root key.
	MulticastSealed
)

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.dial == nil {
		o.dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: time.Minute}).DialContext
	}
	if o.SessionID == "" && !o.Transient {
		o.SessionID = randomHex()
	}
	if o.jitter == nil {
		o.jitter = rand.Float64
	}
	return o
}
