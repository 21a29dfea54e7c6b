"""``python -m payhooks`` is the command ``payhooks``."""

import sys

from payhooks.cli import main

sys.exit(main())
