"""`python -m web.command`."""

import sys

from web.command import main

sys.exit(main())
