"""Exit 0 when the service in this container answers `/readyz` with 200; the reasons otherwise."""

import os
import sys
import urllib.error
import urllib.request

try:
    urllib.request.urlopen(f"http://127.0.0.1:{os.environ['HTTP_PORT']}/readyz", timeout=3).read()
except urllib.error.HTTPError as err:
    sys.exit(err.read().decode(errors="replace"))
except OSError as err:
    sys.exit(f"no answer: {err}")
