"""The control plane: what people and their programs change, each change on record.

Every mutating function here writes one ``Change`` with one audit entry, in one transaction,
and takes the ``Caller`` who asked. Publishing an event is not such a change: the event is its
own record.
"""
