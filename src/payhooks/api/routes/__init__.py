"""One file per noun. A route reads, asks and answers; it decides nothing."""
