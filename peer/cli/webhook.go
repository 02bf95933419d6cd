package cli

import (
	"context"
	"flag"
	"io"
	"strings"

	"claudemesh/peer"
	"claudemesh/wire"
)

func webhookCommand() Command {
	return Command{
		Name: "webhook", Theme: Automate, Short: "Let programs outside of the mesh send it messages",
		Long: `A webhook is a URL. What a service posts to it, as JSON, comes as a message to
everyone, or to --to. The broker keeps only a hash of the URL's secret: it is shown
once, when the webhook is made or rotated.`,
		Sub: []Command{webhookCreateCommand(), webhookListCommand(), webhookRotateCommand(), webhookRmCommand()},
	}
}

func webhookCreateCommand() Command {
	var to, template, style string
	var ask bool
	return Command{
		Name: "create", Args: "<name>", Short: "Make a webhook and show its URL",
		Long: `A template is the text of the messages; {{path}} in it is a value of what is posted,
{{@event}} the kind of event by the sender's header. Without one the message is the JSON.

With --signature each request must be signed. In the style of GitHub the secret that is
shown is what to enter there; Stripe and Slack show a signing secret of their own, which
--signing-secret reads from standard input.`,
		Examples: []string{
			"claudemesh webhook create ci",
			`claudemesh webhook create github --signature github --to @team --template "{{@event}} in {{repository.full_name}}"`,
		},
		Mesh: true, JSON: true, Output: wire.WebhookAck{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&to, "to", "*", "send what is posted to this `recipient`, as in send")
			fs.StringVar(&template, "template", "", "make the `text` of the messages of this")
			choiceVar(fs, &style, "signature", "", "have requests signed in this `style`: github, stripe or slack", "github", "stripe", "slack")
			fs.BoolVar(&ask, "signing-secret", false, "read what the sender signs with from standard input")
		},
		Complete: map[string]Completer{"--signature": Values("github", "stripe", "slack"), "--to": Values("*")},
		Run: func(ctx context.Context, env *Env, args []string) error {
			req := wire.CreateWebhook{Name: args[0], Template: template, Signature: wire.HookSignature(style)}
			var err error
			if req.SigningSecret, err = signingSecret(env, ask); err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				target, err := c.Resolve(ctx, to)
				if err != nil {
					return err
				}
				req.Target = target.Target.String()
				ack, err := peer.Call(ctx, c, req)
				if err != nil {
					return err
				}
				return printHook(env, &ack)
			})
		},
	}
}

// signingSecret reads a secret that must not stand in a command line.
func signingSecret(env *Env, ask bool) (string, error) {
	if !ask {
		return "", nil
	}
	p, err := io.ReadAll(io.LimitReader(env.Stdin, 4*wire.MaxSigningSecret+2))
	secret := strings.TrimSpace(string(p))
	if err == nil && secret == "" {
		return "", Usagef("--signing-secret reads the secret from standard input, and that is empty")
	}
	return secret, err
}

// printHook shows a webhook with its secret, this once.
func printHook(env *Env, ack *wire.WebhookAck) error {
	if env.JSON {
		return env.Out().JSON(ack)
	}
	env.Out().Printf("URL     %s\nSecret  %s\n", Styled{Bold, ack.URL}, ack.Secret)
	env.Err().Printf("%s is shown this once. Who has the URL can post to the mesh.\n", ack.Name)
	return nil
}

func webhookListCommand() Command {
	return Command{
		Name: "list", Short: "List the webhooks of a mesh",
		Long: `UNSEEN counts deliveries of older messages that gave way to newer ones: a recipient
who is away finds the newest 50 of each webhook, of the last day.`,
		Examples: []string{"claudemesh webhook list", "claudemesh webhook list --json"},
		Mesh:     true, JSON: true, Output: []wire.Webhook{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				list, err := peer.Call(ctx, c, wire.ListWebhooks{})
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(list.Webhooks)
				case len(list.Webhooks) == 0:
					env.Err().Printf("%s has no webhooks. Make one with `claudemesh webhook create <name>`.\n", c.Mesh().Slug)
				}
				table := env.Out().Table("NAME", "BY", "TO", "SIGNED", "MESSAGES", "UNSEEN", "CREATED", "TEMPLATE")
				for _, w := range list.Webhooks {
					table.Row(Styled{Bold, w.Name}, w.CreatedBy, w.Target, string(w.Signature), w.Received, w.GivenUp, w.CreatedAt, w.Template)
				}
				table.Flush()
				return nil
			})
		},
	}
}

func webhookRotateCommand() Command {
	var ask bool
	return Command{
		Name: "rotate", Args: "<name>", Short: "Give a webhook a new URL",
		Long:     "The old one is no longer good. For who made the webhook, and admins.",
		Examples: []string{"claudemesh webhook rotate ci"},
		Mesh:     true, JSON: true, Output: wire.WebhookAck{},
		Flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&ask, "signing-secret", false, "read what the sender signs with from now on from standard input")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			secret, err := signingSecret(env, ask)
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				ack, err := peer.Call(ctx, c, wire.RotateWebhook{Name: args[0], SigningSecret: secret})
				if err != nil {
					return err
				}
				return printHook(env, &ack)
			})
		},
	}
}

func webhookRmCommand() Command {
	return Command{
		Name: "rm", Args: "<name>", Short: "End a webhook",
		Long:     "For who made it, and admins.",
		Examples: []string{"claudemesh webhook rm ci"},
		Mesh:     true, JSON: true, Output: removedJSON{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if _, err := peer.Call(ctx, c, wire.DeleteWebhook{Name: args[0]}); err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(removedJSON{args[0]})
				}
				env.Out().Printf("Ended %s in %s: its URL is no longer good.\n", args[0], c.Mesh().Slug)
				return nil
			})
		},
	}
}
