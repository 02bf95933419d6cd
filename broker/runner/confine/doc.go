// Package confine runs programs of others on one Linux machine so that they reach
// nothing but what they are given, without a container engine.
//
// A program runs in a cell. The broker starts itself again as the first process of
// the cell, the supervisor, which makes the cell, starts the program, waits for whatever
// the program leaves behind, and ends everything when the program ends or the broker
// is gone. Between the supervisor and the program is a moment in which the broker's
// program runs a third time, to give up its rights and become the program.
//
// What can be enforced depends on the machine; New finds it out by trying, Report says
// it, and Check refuses limits that would not hold.
package confine
