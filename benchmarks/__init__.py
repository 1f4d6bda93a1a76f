"""What stands behind the figures of the documents: studies on the package's own harness, peers, tables."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results"

sys.path.append(str(ROOT / "tests"))  # studies of the service run the very server that tests run
