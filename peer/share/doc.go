// Package share reads what a user has decided to show to other peers: files
// below some directories, and nothing else. It takes paths as strangers write
// them and is the only place that turns one into a file.
//
// # What is never read
//
//   - anything outside the shared directories: [os.Root] holds every step to
//     them, and a symbolic link counts as what it really names
//   - what is not a regular file, which is looked at before it is opened and
//     again on the open file
//   - anything below a name that begins with a dot
//   - what looks like a key or a credential, by the name of the file or of
//     a directory on its way (secret.go), and files that contain a private key
//   - the directories that the caller excludes
//
// Names are compared without regard to case and to characters that have no
// image, since some file systems do not regard them either.
package share
