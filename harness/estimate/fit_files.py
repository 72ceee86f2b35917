"""Writes what was fitted: one TOML a kernel family, and the calibrations at the end of each device's profile."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.estimate.calibrated import FOLDER, as_toml
from harness.profile_file import builtin_folder

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.estimate.fitting import FittedAll
    from harness.profile import Calibration

HEADING = "# Written by `bench profiles fit`."
MARK = f"{HEADING} What is above is kept, what is below is replaced.\n"


def write_fit(found: FittedAll, folder: Path | None = None, *, dry: bool = False) -> tuple[Path, ...]:
    """Write every file below a profile folder; those whose text stays the same are left alone.

    Args:
        found: What was fitted.
        folder: The folder of the profiles, the built-in one unless given.
        dry: Write nothing.

    Returns:
        The files that changed, or would have.
    """
    import tomli_w

    root = folder or builtin_folder()
    texts = {
        root / FOLDER / f"{family.family}.toml": f"{HEADING}\n{tomli_w.dumps(as_toml(family))}"
        for family in found.families
    }
    for path in sorted(root.glob("*.toml")):
        texts[path] = _calibrated(path.read_text(encoding="utf-8"), found.calibrations.get(path.stem, ()))
    return tuple(path for path, text in texts.items() if _write(path, text, dry=dry))


def _calibrated(text: str, calibrations: Iterable[Calibration]) -> str:
    import tomli_w

    kept = text.split(MARK, 1)[0].rstrip("\n") + "\n"
    tables = [asdict(each) for each in calibrations]
    if not tables:
        return kept
    body = "\n\n".join(f"[[calibrations]]\n{tomli_w.dumps(table)}".rstrip("\n") for table in tables)
    return f"{kept}\n{MARK}\n{body}\n"


def _write(path: Path, text: str, *, dry: bool) -> bool:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    if not dry:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return True
