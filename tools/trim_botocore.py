"""Cut an installed botocore down to some services: `python trim_botocore.py BOTOCORE SERVICE ...`.

Of its 30 MB, 28 describe services that the functions never call, and every new client reads all of
`endpoints.json`. All partitions are kept, so that each region's endpoints resolve as before.
"""

import json
import shutil
import sys
from pathlib import Path


def trim(botocore: Path, services: set[str]) -> None:
    """Remove the descriptions of all other services from the folder *botocore*."""
    data = botocore / "data"
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    path = data / "endpoints.json"
    endpoints = json.loads(path.read_text(encoding="utf-8"))
    for partition in endpoints["partitions"]:
        partition["services"] = {
            name: service for name, service in partition["services"].items() if name in services
        }
    path.write_text(json.dumps(endpoints), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]), set(sys.argv[2:]))
