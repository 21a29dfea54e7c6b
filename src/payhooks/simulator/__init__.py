"""The deterministic simulation: real flow and worker code in a world that a seed decides.

Several processes, each with its own acceptor and worker, share one memory store. Store, network,
receivers, processes and operators misbehave as the seed says; time is virtual. An auditor looks
at every change of the store and every request a receiver sees, and names the first broken
promise. The same seed gives the same run, to the byte of its trace.

loop        time, order, kills and pauses
chance      which fault happens where
options     what one seed switches on
store       the faulty way to the store, which is watched by the auditor in ``watched``
receivers   the faulty way to the receivers, and what they do
process     one process, made of the real ``parts``
publishers, operators  who repeat themselves, who meddle
providers   who tell of ``payments``, until they are heard
promises    what must hold, by name
auditor     the trace, and who looks: ``moves``, ``sights``, ``signatures``, ``answers``,
            ``hearings``, ``books``
record      what the auditor keeps
marks       states that must be reached
planted     bugs that must be found, in ``planted_store``, ``planted_flow``, ``planted_heard``
world       all of it together
run         one seed, or as many as fit into a time
shrink      from a failing run to a smaller one, and its ``tape``
"""
