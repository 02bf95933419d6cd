package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"

	"claudemesh/peer"
	"claudemesh/wire"
)

func vaultCommand() Command {
	return Command{
		Name: "vault", Theme: Share, Short: "Keep secrets for the services that you deploy",
		Long: `A value is encrypted to your key in the mesh before it leaves this machine: neither the
broker nor other members can read it, nor you on a machine without that key. The
environment of a service that you deploy refers to it as $vault:<key>, or as
$vault:<key>:file:<path> for a file; then the broker and the service get the value.`,
		Sub: []Command{vaultSetCommand(), vaultListCommand(), vaultGetCommand(), vaultRmCommand(), vaultRotateCommand()},
	}
}

func vaultSetCommand() Command {
	var e wire.VaultEntry
	var file string
	return Command{
		Name: "set", Args: "<key> [value]", Short: "Keep a value under a key, or replace it",
		Long: `It asks for the value at a terminal, without showing it, and reads it from standard
input otherwise, without the line break at its end. --file keeps the bytes of a file.
Avoid the value as an argument: other users of this machine can see it while the
command runs, and your shell keeps it in its history.`,
		Examples: []string{"claudemesh vault set GITHUB_TOKEN", `claudemesh vault set DB_URL --description "the staging database" < url.txt`, "claudemesh vault set CERT --file cert.pem --mount tls/cert.pem"},
		Mesh:     true, JSON: true, Output: wire.VaultAck{},
		Flags: func(fs *flag.FlagSet) {
			fs.StringVar(&file, "file", "", "keep the bytes of the file at this `path`")
			fs.StringVar(&e.MountPath, "mount", "", "put a file at this `path` of a service where the reference names none")
			fs.StringVar(&e.Description, "description", "", "say what it is; the broker can read that `text`")
		},
		Run: func(ctx context.Context, env *Env, args []string) error {
			e.Key, e.EntryType = args[0], wire.VaultEnv
			if file != "" {
				e.EntryType = wire.VaultFile
			}
			value, err := vaultValue(ctx, env, args, file)
			if err != nil {
				return err
			}
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				if err := c.SetVault(ctx, e, value); err != nil {
					return err
				}
				if env.JSON {
					return env.Out().JSON(wire.VaultAck{Key: e.Key, Action: wire.VaultStored})
				}
				env.Out().Printf("Kept %s in your vault in %s. A service gets it as %s.\n", Styled{Bold, e.Key}, c.Mesh().Slug, vaultReference(&e))
				return nil
			})
		},
	}
}

// vaultReference is how the environment of a service refers to an entry.
func vaultReference(e *wire.VaultEntry) string {
	switch {
	case e.EntryType == wire.VaultFile && e.MountPath != "":
		return "$vault:" + e.Key + ":file"
	case e.EntryType == wire.VaultFile:
		return "$vault:" + e.Key + ":file:<path>"
	}
	return "$vault:" + e.Key
}

// vaultValue reads the value to keep from where the command line says.
func vaultValue(ctx context.Context, env *Env, args []string, file string) ([]byte, error) {
	switch {
	case len(args) > 1 && file != "":
		return nil, Usagef("give the value or --file, not both")
	case len(args) > 1:
		env.Err().Printf("Other users of this machine could see this value on the command line, and your shell's history may keep it: next time let the command ask for it.\n")
		return []byte(args[1]), nil
	case file != "":
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, wire.MaxVaultValue+1)) // what is longer is refused
	case env.IsTerminal(env.Stdin):
		return env.secret(ctx, "Value of "+args[0])
	}
	value, err := io.ReadAll(io.LimitReader(env.Stdin, wire.MaxVaultValue+3))
	return withoutLineBreak(value), err
}

// withoutLineBreak takes the line break that programs print after a value.
func withoutLineBreak(value []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
}

func vaultListCommand() Command {
	return Command{
		Name: "list", Short: "List the keys of your vault", Long: "Values are not shown.",
		Examples: []string{"claudemesh vault list", "claudemesh vault list --json"},
		Mesh:     true, JSON: true, Output: []wire.VaultEntry{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				entries, err := c.Vault(ctx)
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(append([]wire.VaultEntry{}, entries...))
				case len(entries) == 0:
					env.Err().Printf("Your vault in %s is empty. Keep something with `claudemesh vault set <key>`.\n", c.Mesh().Slug)
				}
				table := env.Out().Table("KEY", "TYPE", "PATH", "SET", "SIZE", "DESCRIPTION")
				for _, e := range entries {
					table.Row(Styled{Bold, e.Key}, string(e.EntryType), e.MountPath, e.UpdatedAt, e.Size, e.Description)
				}
				table.Flush()
				return nil
			})
		},
	}
}

func vaultGetCommand() Command {
	return Command{
		Name: "get", Args: "<key>", Short: "Print a value of your vault",
		Long:     "In a pipe it is printed byte by byte as it was kept. At a terminal a line break follows.",
		Examples: []string{"claudemesh vault get CERT > cert.pem"},
		Mesh:     true, NoJSON: "it prints the value and nothing else",
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				value, err := c.VaultValue(ctx, args[0])
				switch {
				case err != nil:
					return err
				case env.Out().Terminal():
					env.Out().Text(string(value))
				default:
					env.Out().raw(string(value))
				}
				return nil
			})
		},
	}
}

func vaultRmCommand() Command {
	return Command{
		Name: "rm", Args: "<key>", Short: "Delete a key of your vault",
		Long:     "Services that have its value keep it: change it where it is from.",
		Examples: []string{"claudemesh vault rm GITHUB_TOKEN"},
		Mesh:     true, JSON: true, Output: wire.VaultAck{},
		Run: func(ctx context.Context, env *Env, args []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				was, err := c.DeleteVault(ctx, args[0])
				switch {
				case err != nil:
					return err
				case !was:
					return WithHint(fmt.Errorf("your vault in %s has no key %q", c.Mesh().Slug, args[0]), "`claudemesh vault list` shows the keys")
				case env.JSON:
					return env.Out().JSON(wire.VaultAck{Key: args[0], Action: wire.VaultDeleted})
				}
				env.Out().Printf("Deleted %s from your vault in %s. Services that have its value keep it.\n", Styled{Bold, args[0]}, c.Mesh().Slug)
				return nil
			})
		},
	}
}

func vaultRotateCommand() Command {
	return Command{
		Name: "rotate", Short: "Have the broker keep its secrets under a new key",
		Long: `For admins. The broker makes a new key for what it keeps encrypted and must read itself,
in every mesh that it has: environments of services, headers of watches, signing
secrets of webhooks. All of it is encrypted anew, and the older key is deleted when
nothing is under it any more, about a minute later.

It changes no value. The vault's own entries are encrypted to the keys of members,
which stay. What somebody may have read, a service for instance, must be changed where
it is from, set again and deployed again.`,
		Examples: []string{"claudemesh vault rotate", "claudemesh vault rotate --json"},
		Mesh:     true, JSON: true, Output: wire.VaultRotated{},
		Run: func(ctx context.Context, env *Env, _ []string) error {
			return onMesh(ctx, env, nil, func(ctx context.Context, c *peer.Client) error {
				done := env.Progress("encrypting anew")
				res, err := c.RotateVault(ctx)
				done()
				switch {
				case err != nil:
					return err
				case env.JSON:
					return env.Out().JSON(res)
				}
				env.Out().Printf("What the broker of %s keeps encrypted is under the new key %s; %d of this mesh were encrypted anew.\n", c.Mesh().Slug, Styled{Bold, res.KeyID}, res.Values)
				env.Err().Printf("The older key is deleted in about a minute, when nothing is under it any more. No value was changed: change those that may be known where they are from.\n")
				return nil
			})
		},
	}
}
