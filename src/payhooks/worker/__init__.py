"""The processes' inner life: lease, dispatch, sweep; start, drain, stop."""
