"""What flow and control ask of the outside, as protocols; adapters live above.

Every store method is one transaction over a batch, named after a use.
"""
