"""What a plugin imports before it is used, in a fresh process: `python -m harness.testing.light PLUGIN [REF …]`.

Prints a line of JSON: `foreign`, for each stage the top-level packages that were imported by then and are neither the
standard library's nor the host's nor the plugin's own, and `answers`, what each contribution says of its availability.
The stages are those that `bench plugins` and `bench models` go through.
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import Any

from harness import Availability
from harness.loading import YIELDS
from harness.testing.loading import module_of

PLUGIN_FILE = "harness_plugin_file_"
"""What the name of a module begins with that is a plugin file, `harness.plugin_file.module_name`."""

_TRIES = 3
"""An answer is as quick as the quickest of these: a busy machine is not the plugin's fault."""

_SLOW_S = 0.1


def main(plugin: str, *refs: str) -> int:
    """Import, ask, and print."""
    before = _packages()
    module = module_of(plugin)
    own = plugin.partition(":")[0].partition(".")[0]
    contributions = [item for hook in YIELDS for item in getattr(module, hook, tuple)()]
    foreign = {"import": _foreign(before, own)}
    answers = [_ask(item) for item in contributions if hasattr(item, "available")]
    foreign["available"] = _foreign(before, own)
    for source in (item for item in contributions if hasattr(item, "list_models")):
        list(source.list_models())
        for ref in refs:
            if source.claims(ref):
                _check(source, ref)
    foreign["list_models"] = _foreign(before, own)
    sys.stdout.write(json.dumps({"foreign": foreign, "answers": answers}))
    return 0


def _packages() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules}


def _foreign(before: set[str], own: str) -> list[str]:
    new = _packages() - before - sys.stdlib_module_names - {"harness", own}
    return sorted(name for name in new if not name.startswith(PLUGIN_FILE))


def _ask(item: Any) -> dict[str, Any]:
    label = f"{type(item).__name__} {getattr(item, 'name', '') or getattr(item, 'technique', '')}".strip()
    taken_s: list[float] = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        try:
            found = item.available()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - what it must not do is what is looked for
            return {"label": label, "raised": f"{type(error).__name__}: {error}"}
        taken_s.append(time.perf_counter() - started)
        if taken_s[-1] < _SLOW_S:
            break
    if not isinstance(found, Availability):
        return {"label": label, "raised": f"it answered {found!r}"}
    facts = {"ok": found.ok, "reason": found.reason, "install": found.install}
    return {"label": label, "kind": type(item).__name__, "taken_s": min(taken_s), **facts}


def _check(source: Any, ref: str) -> None:
    with suppress(Exception):  # what it answers has a check of its own
        source.check(ref)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
