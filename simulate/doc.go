// Package simulate plays a scenario: many peers on one machine that talk to
// each other over real sockets, through a real broker, by a script.
//
// # How a run goes
//
//	Parse ─▸ Scenario ─▸ Run ─▸ Report
//	                      │
//	    clock ──tick──▸ conductor ──▸ actors ⇄ broker
//	                      │             │
//	                    world         ledger
//
// A [Scenario] names personas and what they send and react to. Each becomes an
// actor: a session with a key and a connection of its own. One conductor, which
// is no persona, counts the simulated minutes, of the mesh's clock or of its
// own, and has the actors do what is due. The ledger knows of each message who
// must get it, and notes when it was accepted, came and was read; from it come
// the expectations and the report.
//
// # Time and chance
//
// Everything planned happens at a simulated minute, counted from the start. What
// answers a message counts from the minute in which that was sent, not from the
// moment it came, so that a slow machine changes when things happen but not what
// happens. Each choice is drawn from a generator that is seeded by the scenario,
// who chooses, and what for; no draw depends on what others did before.
//
// # Names
//
// Groups of a scenario are below one group of the run, which is also everyone,
// so a run in a mesh that others use reaches nobody but its personas. Keys of
// the shared state begin with sim:.
package simulate
