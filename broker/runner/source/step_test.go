package source

import (
	"errors"
	"strings"
	"testing"
)

func TestAReasonThatIsKnownHidesWhatAProgramSaid(t *testing.T) {
	t.Parallel()
	const limit = Plain("it made more than it may")
	npm := "npm error code ENOSPC\nnpm error syscall write\nnpm error errno -28\nnpm error nospc ENOSPC: no space left on device, write\n" +
		"npm error nospc There appears to be insufficient space on your system to finish.\nnpm error A complete log of this run can be found in: /x/_logs/0.log\n"
	failed := errors.New("exit status 1")
	for _, c := range []struct {
		name string
		err  error
		said string
		want string
	}{
		{"npm on a full disk", failed, npm, ErrFull.Error()},
		{"pip on a full disk", failed, "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n", ErrFull.Error()},
		{"git on a full disk", failed, "fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output\n", ErrFull.Error()},
		{"a user's share of it", failed, "cp: error writing 'x': Disk quota exceeded\n", ErrFull.Error()},
		{"a limit, on a full disk too", limit, npm, limit.Error()},
		{"too many files that are watched", failed, "Error: ENOSPC: System limit for number of file watchers reached\n", "exit status 1: Error: ENOSPC: System limit for number of file watchers reached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tail tailer
			tail.Write([]byte(c.said))
			if got := (&build{}).explain(c.err, &tail, nil); got.Error() != c.want {
				t.Errorf("it says\n%s\nand should\n%s", got, c.want)
			}
		})
	}
}

func TestAnErrorSaysWhatAProgramSaidOfIt(t *testing.T) {
	t.Parallel()
	retry := "WARNING: Retrying (Retry(total=%)) after connection broken by 'ProxyError(502)': /simple/none/\n"
	for _, c := range []struct{ name, said, want string }{
		{"npm, a package that is not there", `npm error code E404
npm error 404 Not Found - GET https://registry.npmjs.org/none
npm error 404
npm error 404  The requested resource 'none@*' could not be found or you do not have permission to access it.
npm error 404
npm error 404 Note that you can also install from a
npm error 404 tarball, folder, http url, or git url.
npm error A complete log of this run can be found in: /data/meshes/1/services/none/build-1/tmp/npm/_logs/debug-0.log
`, "code E404 / 404 Not Found - GET https://registry.npmjs.org/none / 404  The requested resource 'none@*' could not be found or you do not have permission to access it."},
		{"npm, a version that is not there", `npm error code ETARGET
npm error notarget No matching version found for tool@9.
npm error notarget In most cases you or one of your dependencies are requesting
npm error notarget a package version that doesn't exist.
npm error A complete log of this run can be found in: /data/debug-0.log
`, "code ETARGET / notarget No matching version found for tool@9. / notarget a package version that doesn't exist."},
		{"npm, nothing", "npm error A complete log of this run can be found in: /data/debug-0.log\n", ""},
		{"pip, without the network",
			strings.ReplaceAll(retry, "%", "1") + strings.ReplaceAll(retry, "%", "0") + "ERROR: Could not find a version\nERROR: No matching distribution found for none\n",
			strings.TrimSpace(strings.ReplaceAll(retry, "%", "0")) + " / ERROR: Could not find a version / ERROR: No matching distribution found for none"},
		{"git", "Cloning into 'src'...\nfatal: repository not found\n", "fatal: repository not found"},
		{"no error", "one\n\ntwo\n", "one / two"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var tail tailer
			tail.Write([]byte(c.said))
			if got := tail.last(); got != c.want {
				t.Errorf("it says\n%s\nand should\n%s", got, c.want)
			}
		})
	}
}
