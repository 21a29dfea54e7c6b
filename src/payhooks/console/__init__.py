"""The merchant console: pages of the same server, made by Python and readable without scripts.

Pages decide nothing. They read through the store's ports and change through ``control``, with
the caller's scopes, as the API does. Start to read at ``page``.
"""
