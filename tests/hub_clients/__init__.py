"""What the Hub's clients read when they are imported: an empty home, and an endpoint where nobody listens, so that what
forgets the one that it was given fails.
"""

import os
import tempfile

os.environ |= {
    "HF_HOME": tempfile.mkdtemp(prefix="hub-clients-"),
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_ENDPOINT": "http://127.0.0.1:9",
}
for _name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET"):
    os.environ.pop(_name, None)
