"""The snippet for python-binance in docs/simulator.md, run as it stands but for address and key."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

# The client's own: it imports names that are going out of use in websockets, wherever it connects to.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="websockets|binance")
warnings.filterwarnings("ignore", "websockets.* is deprecated", DeprecationWarning)

ROOT = Path(__file__).parents[3]


def main() -> None:
    """Find the snippet and run it."""
    facts = json.loads(Path(sys.argv[1]).read_text())
    page = (ROOT / "docs" / "simulator.md").read_text()
    (snippet,) = re.findall(r"^```python python-binance\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    told = {
        "http://127.0.0.1:9002": facts["binance_rest_url"],
        "ws://127.0.0.1:9002/ws-api/v3": facts["binance_ws_api_url"],
        "demo-key": facts["key"],
        "demo-secret": facts["secret"],
    }
    for written, real in told.items():
        assert written in snippet, written
        snippet = snippet.replace(written, real)
    exec(compile(snippet, "docs/simulator.md", "exec"), {})


main()
