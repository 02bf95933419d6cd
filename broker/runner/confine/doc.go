// Package confine runs programs of others on one Linux machine so that they reach
// nothing but what they are given, without a container engine.
//
// A program runs in a cell. The broker starts itself again as the first process of
// the cell, the supervisor, which makes the cell, starts the program, waits for whatever
// the program leaves behind, and ends everything when the program ends or the broker
// is gone. Between the supervisor and the program is a moment in which the broker's
// program runs a third time, to give up its rights and become the program. So whoever uses
// this package calls [Main] first in main.
//
// What can be enforced depends on the machine. [New] finds it out by trying,
// [Confiner.Report] says it, and [Confiner.Check] refuses limits that would not hold.
//
// # What holds a cell
//
// User: where the broker is root and there are namespaces, each cell's directory has a
// user id of its own, of [FirstUser] and the [UserCount] after it unless Options say others;
// the owner of the directory on disk is the record of it. Elsewhere the broker's user,
// with no capabilities and no way to get any.
//
// Files: a mount namespace in which there is nothing but the programs and libraries of the
// system, the directory of the cell, and a /proc, /dev and /tmp of its own. On top of that, or
// alone where there is none, Landlock (version 2: Linux 5.19). The cell's directory can be
// read; home and tmp in it, and what Cell.Write names, can be written. Without
// either, there are no cells.
//
// System calls: a filter refuses those that look into other processes, make mounts or
// namespaces or load code into the kernel, and sockets beside those of IP and the machine's own. Without
// a mount namespace local sockets are refused too, but for pairs: the buses and agents of the
// user listen on such.
//
// Network: a namespace with nothing but a loopback interface. With a list of hosts a proxy
// of the broker listens there, which is the only way out and connects to what is listed,
// after asking Options.Admits about the address. Programs must use it: they are told by HTTP_PROXY
// and its like, which Node does from version 22.21 on, and which a resolver of names does not help.
//
// Memory: a control group (cgroup v2), of which every process of the cell is a member from its start. Elsewhere
// the supervisor looks at all processes every quarter of a second, and each one's private
// memory has a limit of that of the cell and 256 MiB, which bounds what can happen meanwhile.
//
// Processes, and threads with them: a control group; or the limit of the user, where the
// cell has one of its own or a user namespace; else the supervisor counts.
//
// Processors: a control group, or nothing: then a limit is refused. In any case the processes are
// nice, so that they get what is left.
//
// End: a pid namespace, whose first process is the supervisor. Elsewhere the supervisor adopts
// what loses its parent, and two processes watch each other: whichever is killed, the other ends
// the cell. Both end it when the connection to the broker does.
//
// Other processes are out of sight in a pid namespace. Without one they can be listed, and only Landlock 6
// (Linux 6.12) keeps a program of the broker's user from sending them signals.
//
// # What does not
//
// The room on the disk, and the bandwidth to it and to the network. With the network of the
// machine, whatever listens on it: services on 127.0.0.1, and before Landlock 6 abstract sockets. What the
// kernel gets wrong. Without namespaces the names, sizes and times of files, the arguments of
// other processes, and the supplementary groups of the broker. Without a control group, memory that no process has mapped:
// files in /dev/shm (16 MiB where there are namespaces, else none) and those of memfd_create.
//
// What a cell has written is hostile to whoever reads it: links lead anywhere, and change
// under the reader's hands. Use [os.Root].
package confine
