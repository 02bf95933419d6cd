package share

import (
	"bytes"
	"strings"
)

// secretNames are names of files and directories that hold keys or
// credentials. docs/FILES.md has the list for users.
func secretNames() []string {
	return []string{
		// Keys and what holds them.
		"id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.ppk",
		"*.jks", "*.keystore", "*.truststore", "*.keytab", "*.kdb", "*.kdbx", "*.gpg", "*.pgp", "*.asc", "*.age", "secring.*",
		"key3.db", "key4.db", "*.agekey", "*.ovpn", "wallet.dat", "*.wallet", "*.secret", "*.secrets", "*.tfstate", "*.tfstate.*", "*.tfvars",
		// Credentials by their usual names.
		"credentials", "credentials.*", "*credentials.json", "*credential.json", "secret", "secrets", "secret.*", "secrets.*",
		"*-secret.*", "*_secret.*", "*-secrets.*", "*_secrets.*", "secret-*", "secret_*", "secrets-*", "secrets_*", "client_secret*", "*adminsdk*.json", "service-account*.json", "service_account*.json",
		"token.json", "tokens.json", "token.txt", "tokens.txt", "*.token", "*.credentials", "auth.json", "htpasswd", "netrc", "_netrc", "pgpass", "pgpass.conf",
		"passwd", "passwords*", "password.*", "api_key*", "api-key*", "apikey*", "private*key*", "shadow", "kubeconfig", "kubeconfig.*", "*.kubeconfig", "*.env", "*.env.*", "env.local",
		"logins.json", "login data", "cookies", "cookies.*", "vault.json", "npmrc",
	}
}

// secrets are the globs of secretNames.
type secrets []glob

func newSecrets() secrets {
	var all secrets
	for _, name := range secretNames() {
		all = append(all, newGlob(name))
	}
	return all
}

// hold reports whether a name is one of a secret. Windows drops trailing
// blanks and dots from a name, and takes what follows a colon for a part of
// the same file.
func (s secrets) hold(name string) bool {
	name, _, _ = strings.Cut(name, ":")
	folded := []rune(fold(strings.TrimRight(name, " .")))
	for _, g := range s {
		if g.fits(folded) {
			return true
		}
	}
	return false
}

// dotted reports whether a name begins with a dot, as far as one can see.
func dotted(name string) bool { return strings.HasPrefix(strings.TrimLeft(fold(name), " "), ".") }

// holdsKey reports whether a file contains a private key in one of its usual
// forms, whatever it is called.
func holdsKey(data []byte) bool {
	for _, mark := range []string{"PRIVATE KEY-----", "PRIVATE KEY BLOCK-----", "PuTTY-User-Key-File-", "AGE-SECRET-KEY-1"} {
		if bytes.Contains(data, []byte(mark)) {
			return true
		}
	}
	return false
}
