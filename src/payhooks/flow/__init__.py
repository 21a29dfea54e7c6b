"""The way of the data, one step per file: accept → fan_out → lease → send → settle, and sweep.

A publisher's event comes in by ``accept``, which plans its deliveries by ``fan_out`` from the
routing table and makes both durable in one transaction. A delivery is leased there and then
(hand-off) or later by a worker (``worker.loop``), attempted by ``send``, and written down by
``settle``. ``sweep`` picks up what fell. Nothing here holds a transaction over an HTTP call.
"""
