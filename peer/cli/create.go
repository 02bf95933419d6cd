package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"claudemesh/peer"
	"claudemesh/templates"
	"claudemesh/wire"
)

const (
	createTime   = 20 * time.Second
	maxTokenFile = 16 << 10 // bytes
)

// createdJSON is what create prints as JSON.
type createdJSON struct {
	Slug          string    `json:"slug"` // local: another one than was asked for if that was taken
	MeshID        string    `json:"meshId"`
	MemberID      string    `json:"memberId"`
	DisplayName   string    `json:"displayName"`
	BrokerURL     string    `json:"brokerUrl"`
	Invite        string    `json:"invite"` // a link, for others
	InviteUses    int       `json:"inviteUses"`
	InviteExpires wire.Time `json:"inviteExpires"`
	// Template is what was made of it by --template.
	Template *appliedJSON `json:"template,omitempty"`
}

// createFlags are the flags of create.
type createFlags struct {
	name      string
	broker    string
	tokenFile string
	template  string
	list      bool
}

func createCommand() Command {
	var f createFlags
	return Command{
		Name:  "create",
		Theme: Meshes,
		Args:  "[slug]",
		Short: "Make a mesh, join it as its admin and print an invite",
		Long: `The broker is the one that you run with this configuration, or the one that
--broker names. To make a mesh on a broker of another machine takes the admin
token that is in server.json in the broker's data directory: copy that file and
give it with --token-file.

The key that owns the mesh is kept in your configuration and nowhere else.

A template gives the mesh initial keys of the shared state, and launch its groups,
roles and a hint for the system prompt. With --mesh it is applied to a mesh that
you have joined: keys that are set stay as they are. Your own templates are files in
templates/ in your configuration directory, YAML or JSON. Without a slug, --template
shows the template.`,
		Examples: []string{
			"claudemesh create work",
			`claudemesh create work --name "Work with the team"`,
			"claudemesh create work --broker wss://mesh.example.com/ws --token-file server.json",
			"claudemesh create --list-templates", "claudemesh create apollo --template dev-team",
			"claudemesh create --template dev-team --mesh home",
		},
		Mesh:   true,
		JSON:   true,
		Output: createdJSON{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&f.name, "name", "", "show this `name` of the mesh; the slug if not given")
			fs.StringVar(&f.broker, "broker", "", "make it on the broker at `url`; needed only if you run several")
			fs.StringVar(&f.tokenFile, "token-file", "", "read the broker's admin token from `file`, which holds it alone or is a server.json")
			fs.StringVar(&f.template, "template", "", "set it up by the template of this `name`")
			fs.BoolVar(&f.list, "list-templates", false, "list the templates")
		},
		Run: func(ctx context.Context, env *Env, args []string) error { return f.run(ctx, env, args) },
	}
}

func (f *createFlags) run(ctx context.Context, env *Env, args []string) error {
	var t *templates.Template
	if f.template != "" {
		var err error
		if t, err = findTemplate(env, f.template); err != nil {
			return err
		}
	}
	switch {
	case f.list:
		return listTemplates(env)
	case len(args) == 1 && env.Mesh != "":
		return Usagef("give a slug for a new mesh, or --mesh for one that is there")
	case len(args) == 1:
		return f.create(ctx, env, args[0], t)
	case t == nil:
		return Usagef("the slug of the mesh is missing")
	case env.Mesh == "":
		return showTemplate(env, t)
	}
	m, done, err := applyTemplate(ctx, env, env.Mesh, t)
	if err != nil {
		return err
	}
	if env.JSON {
		return env.Out().JSON(createdJSON{Slug: m.Slug, MeshID: m.MeshID, MemberID: m.MemberID, BrokerURL: m.BrokerURL, Template: done})
	}
	printApplied(env, m, t, done)
	return nil
}

func (f *createFlags) create(ctx context.Context, env *Env, slug string, t *templates.Template) error {
	if !peer.ValidSlug(slug) {
		return Usagef("the slug %q must be lower-case letters, digits and -, at most 64, and not begin with -", slug)
	}
	c, err := env.Config()
	if err != nil {
		return err
	}
	b, err := f.chooseBroker(c)
	if err != nil {
		return err
	}
	if m := joinedOwn(c, b.URL, slug); m != nil {
		return WithHint(fmt.Errorf("you made %s on that broker before and are a member of it", slug), "invite others with `claudemesh invite create --mesh %s`", m.Slug)
	}
	ctx, cancel := context.WithTimeout(ctx, createTime)
	defer cancel()
	done := env.Progress("making " + slug)
	created, err := f.make(ctx, env, b, slug)
	done()
	if err != nil {
		return explainMesh(err, &peer.Mesh{Slug: slug, BrokerURL: b.URL})
	}
	if t == nil {
		return printCreated(env, slug, created)
	}
	m, applied, err := applyTemplate(ctx, env, created.MeshID, t)
	created.Template = applied
	if printErr := printCreated(env, slug, created); printErr != nil || err != nil || env.JSON {
		return errors.Join(printErr, err)
	}
	printApplied(env, m, t, applied)
	return nil
}

// make makes the mesh, its first member and an invite.
func (f *createFlags) make(ctx context.Context, env *Env, b peer.Broker, slug string) (*createdJSON, error) {
	owned, err := peer.Create(ctx, env.ConfigDir, b, slug, f.name)
	if err != nil {
		return nil, err
	}
	joined, err := joinOwn(ctx, env, &owned, userName(env))
	if err != nil {
		return nil, err
	}
	link, inv, err := owned.Invite(ctx, peer.InviteSpec{Uses: firstUses, Expires: firstExpires, Role: wire.Ordinary})
	if err != nil {
		return nil, err
	}
	return &createdJSON{
		Slug: joined.Slug, MeshID: joined.MeshID, MemberID: joined.MemberID, DisplayName: joined.name,
		BrokerURL: joined.BrokerURL, Invite: link, InviteUses: inv.MaxUses, InviteExpires: inv.ExpiresAt,
	}, nil
}

func printCreated(env *Env, slug string, m *createdJSON) error {
	out := env.Out()
	if env.JSON {
		return out.JSON(m)
	}
	out.Printf("Made %s on %s. You are its first member, %s, and an admin.\n", Styled{Bold, slug}, m.BrokerURL, Styled{Bold, m.DisplayName})
	if m.Slug != slug {
		out.Printf("Here it is called %s, because you have joined another mesh called %s.\n", Styled{Bold, m.Slug}, slug)
	}
	out.Printf("\nOthers join with this link (%d uses, until %s):\n  claudemesh join %s\n", m.InviteUses, out.Date(m.InviteExpires.Std()), m.Invite)
	return nil
}

// joinedOwn returns the membership in the mesh that this user made as slug on
// a broker, nil if there is none.
func joinedOwn(c *peer.Config, brokerURL, slug string) *peer.Mesh {
	for _, o := range c.Owned {
		for i, m := range c.Meshes {
			if o.BrokerURL == brokerURL && o.Slug == slug && m.MeshID == o.MeshID {
				return &c.Meshes[i]
			}
		}
	}
	return nil
}

// chooseBroker returns the broker to make a mesh on, with its admin token.
func (f *createFlags) chooseBroker(c *peer.Config) (peer.Broker, error) {
	var b peer.Broker
	switch {
	case f.broker != "":
		u, err := socketURL(f.broker)
		if err != nil {
			return b, err
		}
		b.URL = u
		if i := slices.IndexFunc(c.Brokers, func(k peer.Broker) bool { return k.URL == u }); i >= 0 {
			b = c.Brokers[i]
		}
	case len(c.Brokers) == 1:
		b = c.Brokers[0]
	case len(c.Brokers) == 0:
		return b, WithHint(errors.New("no broker to make the mesh on"), "start one with `claudemesh serve`, or name one with --broker and --token-file")
	default:
		urls := make([]string, len(c.Brokers))
		for i, k := range c.Brokers {
			urls[i] = k.URL
		}
		return b, Usagef("choose a broker with --broker: %s", strings.Join(urls, ", "))
	}
	var err error
	if f.tokenFile != "" {
		b.AdminToken, err = readToken(f.tokenFile)
	} else if b.AdminToken == "" {
		err = WithHint(fmt.Errorf("to make a mesh on %s takes its admin token", b.URL), "copy server.json from its data directory and give it with --token-file")
	}
	return b, err
}

// readToken reads an admin token from a file that holds it alone or is
// a broker's server.json.
func readToken(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTokenFile))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	token := strings.TrimSpace(string(data))
	var server struct {
		AdminToken string `json:"adminToken"`
	}
	if json.Unmarshal(data, &server) == nil {
		token = server.AdminToken
	}
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no admin token", name)
	}
	return token, nil
}

// socketURL makes the WebSocket URL of a broker of what a user writes for it:
// the URL, its HTTP form, or host and port.
func socketURL(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "ws://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil {
		return "", Usagef("%q is no address of a broker: write ws://host:7900/ws", text)
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http", "https":
		u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	default:
		return "", Usagef("%q is no address of a broker: it should begin with ws:// or wss://", text)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/ws"
	}
	return u.String(), nil
}
