"""What Payhooks promises, shown on this machine: one line each, with figure and limit."""
