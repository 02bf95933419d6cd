package tools

import (
	"context"
	"fmt"
	"io"
	"strings"

	"claudemesh/wire"
)

func vaultTools() []tool {
	return []tool{
		define(tool{
			name: "vault_set", hint: "vault secret credential password api key token store encrypt",
			description: "Keep a secret in your user's vault, encrypted so that the broker and other members cannot read it, for services that you deploy: their environment refers to it as $vault:<key>, or $vault:<key>:file:<path>. Replaces what the key has. A value given here is in your transcript: better ask your user to run `claudemesh vault set <key>`. Returns no value.",
		}, vaultSet),
		define(tool{
			name: "vault_list", reads: true, hint: "vault secrets credentials list keys",
			description: "List the keys of your user's vault with type, path and description. Values are not shown, here or anywhere: refer to them as $vault:<key> when you deploy.",
		}, vaultList),
		define(tool{
			name: "vault_delete", hint: "vault secret credential delete remove",
			description: "Delete a key of your user's vault. Services that have its value keep it.",
		}, vaultDelete),
	}
}

type vaultSetArgs struct {
	Key         string `json:"key" doc:"such as GITHUB_TOKEN"`
	Value       string `json:"value" doc:"the text; for type file, the path of the file, below the working directory"`
	Type        string `json:"type,omitempty" enum:"env,file" doc:"env if left out"`
	MountPath   string `json:"mount_path,omitempty" doc:"where in a service a file goes, for $vault:<key>:file"`
	Description string `json:"description,omitempty"`
	Mesh        string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

// vaultKeyReply names an entry, and never what is in it.
type vaultKeyReply struct {
	Mesh   string `json:"mesh"`
	Key    string `json:"key"`
	Action string `json:"action"`
}

func vaultSet(ctx context.Context, h *hub, in vaultSetArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	e := wire.VaultEntry{Key: in.Key, EntryType: wire.VaultEnv, MountPath: in.MountPath, Description: in.Description}
	value, refer := []byte(in.Value), "$vault:"+in.Key
	if in.Type == string(wire.VaultFile) {
		e.EntryType, refer = wire.VaultFile, refer+":file:<path>"
		if value, err = h.vaultFile(in.Value); err != nil {
			return reply{}, err
		}
	}
	if err := m.client.SetVault(ctx, e, value); err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: vaultKeyReply{m.slug, in.Key, wire.VaultStored},
		text: fmt.Sprintf("Kept %q in your user's vault in %s. The environment of a service that you deploy refers to it as %s.", neutralLine(in.Key, wire.MaxVaultKey), m.slug, neutralLine(refer, wire.MaxVaultKey+30)),
	}, nil
}

// vaultFile reads a file that a session may share.
func (h *hub) vaultFile(path string) ([]byte, error) {
	f, err := h.openOwn(path, "claudemesh vault set <key> --file <path>")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, wire.MaxVaultValue+1)) // what is longer is refused as too large
}

type vaultListArgs struct {
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh; all if left out"`
}

func vaultList(ctx context.Context, h *hub, in vaultListArgs) (reply, error) {
	return h.inEach(in.Mesh, func(m *mesh, text *strings.Builder) (any, error) {
		entries, err := m.client.Vault(ctx)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(text, "## %s (%s)\n", m.slug, plural(len(entries), "key"))
		for _, e := range entries {
			text.WriteString(vaultLine(&e))
		}
		return append([]wire.VaultEntry{}, entries...), nil
	})
}

func vaultLine(e *wire.VaultEntry) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- %q, %s", neutralLine(e.Key, wire.MaxVaultKey), neutralLine(string(e.EntryType), 20))
	if e.MountPath != "" {
		fmt.Fprintf(&b, " for %s", neutralLine(e.MountPath, 200))
	}
	fmt.Fprintf(&b, ", set %s", stamp(e.UpdatedAt))
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", neutralLine(e.Description, 200))
	}
	return b.String() + "\n"
}

type vaultDeleteArgs struct {
	Key  string `json:"key" doc:"as vault_list gives it"`
	Mesh string `json:"mesh,omitempty" doc:"slug of the mesh, if several are joined"`
}

func vaultDelete(ctx context.Context, h *hub, in vaultDeleteArgs) (reply, error) {
	m, err := h.one(in.Mesh)
	if err != nil {
		return reply{}, err
	}
	was, err := m.client.DeleteVault(ctx, in.Key)
	if err == nil && !was {
		err = wire.Errorf(wire.NotFound, "your user's vault in %s has no key %q: vault_list shows them", m.slug, wire.Shorten(in.Key, 60))
	}
	if err != nil {
		return reply{}, m.explain(err)
	}
	return reply{
		data: vaultKeyReply{m.slug, in.Key, wire.VaultDeleted},
		text: fmt.Sprintf("Deleted %q from your user's vault in %s. Services that have its value keep it.", neutralLine(in.Key, wire.MaxVaultKey), m.slug),
	}, nil
}
