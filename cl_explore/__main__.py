"""`python -m cl_explore`, the same as the console script `cl-explore`."""

import sys

from cl_explore.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
