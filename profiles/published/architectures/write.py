"""Writes the layer tables of the networks that published measurements name.

    python profiles/published/architectures/write.py            into ../workloads
    python profiles/published/architectures/write.py FOLDER     into a folder of yours

A table in the folder that this program did not write stays as it is, and is named.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from catalogue import networks
from network import workload

MARK = ", as read for profiles/published/architectures"
"""Ends the `source` of every table that is written here."""


def foreign(path: Path) -> bool:
    """Whether a table is there already that this program did not write."""
    return path.is_file() and not json.loads(path.read_text(encoding="utf-8"))["source"].endswith(MARK)


def write(folder: Path) -> list[str]:
    """Write all tables; return the names of those that were left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = []
    for name, (source, network) in networks().items():
        path = folder / f"{name}.json"
        if foreign(path):
            kept.append(name)
            continue
        table = workload(name.split("-", 1)[1], source + MARK, network)
        path.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    return kept


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    kept = write(Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent / "workloads")
    sys.stdout.write("".join(f"left alone: {name}\n" for name in kept))
