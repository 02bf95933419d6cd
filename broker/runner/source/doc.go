// Package source makes a program that can be started out of what a member
// deploys: an archive, a git repository, a package of npm or PyPI, or a
// directory of the broker's machine. It fetches, finds the runtime, installs
// what the program needs and finds its entry.
//
// Nothing that it is given is trusted. Names, branches and addresses have to
// be of a narrow form before anything is done with them; archives are unpacked
// below an os.Root; what programs of others wrote is read through one too; no
// shell is started. Programs, git, npm and pip among them, are run by the
// function a Job brings, which confines them and lets them reach the hosts of
// a list only. Scripts that packages run when they are installed are run, for
// many packages are nothing without: under that same confinement.
//
// What git, npm and pip get of the broker's own settings is a short list: which
// certificates to trust, and where packages come from. The configuration files,
// credentials and caches of its user are not the members' to use.
package source
