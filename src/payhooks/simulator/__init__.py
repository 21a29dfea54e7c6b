"""The deterministic simulation: real flow and worker code in a world that a seed decides.

Several processes, each with its own acceptor and worker, share one memory store. Store, network,
receivers, processes and operators misbehave as the seed says; time is virtual. An auditor looks
at every change of the store and every request a receiver sees, and names the first broken
promise. The same seed gives the same run, to the byte of its trace.

loop      time, order, kills and pauses
chance    which fault happens where
options   what one seed switches on
store     the faulty way to the store
receivers the faulty way to the receivers, and what they do
process   one process of the real parts
people    publishers that retry, operators that pause
auditor   what must hold
signatures  what must sign
record    what the auditor keeps
planted   bugs that must be found
world     all of it together
run       one seed, or as many as fit into a time
shrink    from a failing run to a smaller one
"""
