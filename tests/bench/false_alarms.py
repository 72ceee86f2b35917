"""How often does a comparison call a difference where there is none, and does it find one of 5 %?

Run it on a machine that does nothing else (some nine minutes):  python tests/bench/false_alarms.py
It runs one plan over and over: a small network and its twin (`slowed.py`). Each of ten triples holds, in random order,
two runs that are alike and one in which the twin is slower by a known share. The twin's latency over that of the
baseline of its own run is compared, like with like and like with slowed, by `bench compare`, and judged by
`bench check`. At α = 1 % ten comparisons of like runs should call no difference (with a chance of 90 %).

Why 24 processes: two fresh processes of one network differ by some 3 % in the ratio of twin and baseline, and 3 % /
√24 is a standard error of 0.6 % a run. The difference of two runs then has one of 0.9 %, of which 5 % is five times
as much. More rounds in fewer processes would not help: what differs is where memory and threads come to lie.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PLUGIN = Path(__file__).with_name("slowed.py")
CHANNELS, SIDE, LAYERS = 32, 48, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one comparison said of the twin.

    Attributes:
        change: Relative change of its latency to the baseline.
        sees: The smallest change that would have been found with a chance of 80 %.
        found: Whether it was called significant.
        gate: Exit code of `bench check`.
    """

    change: float
    lo: float
    hi: float
    p: float
    sees: float
    found: bool
    gate: int


def bench(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "harness", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def write_network(path: Path) -> Path:
    """A stack of convolutions that takes one to two milliseconds on one core of a PC."""
    rng = np.random.default_rng(0)
    nodes, weights, last, wide = [], [], "x", 3
    for layer in range(LAYERS):
        kernel = rng.standard_normal((CHANNELS, wide, 3, 3)) * np.sqrt(2 / (wide * 9))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"w{layer}"))
        nodes.append(helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], pads=[1] * 4, kernel_shape=[3, 3]))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last, wide = f"r{layer}", CHANNELS
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["pooled"]))
    nodes.append(helper.make_node("Flatten", ["pooled"], ["y"]))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", CHANNELS])
    graph = helper.make_graph(nodes, "network", [x], [y], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def run(folder: Path, model: Path, given: argparse.Namespace, share: float) -> float:
    """One run of the plan; seconds that it took."""
    started = time.monotonic()
    done = bench(
        "run", "--plugin", PLUGIN, "--model", model, "--recipe", "mark", "--backend", "slowed", "--profile", "host",
        "--threads", 1, "--processes", given.processes, "--budget-s", given.budget_s, "--out", folder,
        BENCH_SLOWED_SHARE=str(share), BENCH_CACHE=str(folder.parent / "cache"),
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.monotonic() - started


def compared(before: Path, after: Path, alpha: float) -> Outcome:
    """What `bench compare` and `bench check` say of two runs."""
    done = bench("compare", before, after, "--alpha", alpha, "--json")
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    twin = next(change for cell in found["cells"] for change in cell["changes"] if is_relative(change))
    gate = bench("check", after, "--against", before, "--alpha", alpha).returncode
    significant = twin["verdict"] in ("worse", "better")
    return Outcome(gate=gate, found=significant, **{key: twin[key] for key in ("change", "lo", "hi", "p", "sees")})


def is_relative(change: Mapping[str, Any]) -> bool:
    """Whether a change is that of a latency over the baseline of its own run."""
    return bool(change["metric"] == "relative latency")


def line(pair: int, what: str, outcome: Outcome) -> str:
    """A line of the table."""
    texts = (f"{outcome.change:+.1%} [{outcome.lo:+.1%}, {outcome.hi:+.1%}]", f"{outcome.p:.2g}", f"{outcome.sees:.1%}")
    return f"| {pair + 1} | {what} | {' | '.join(texts)} | {'yes' if outcome.found else 'no'} | {outcome.gate} |"


def main() -> None:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--processes", type=int, default=24)
    parser.add_argument("--budget-s", type=float, default=12.0)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--alpha", type=float, default=0.01)
    parser.add_argument("--out", type=Path, default=None, help="an empty folder that keeps the runs")
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp(prefix="bench-false-alarms-"))
    out.mkdir(parents=True, exist_ok=True)
    model = write_network(out / "network.onnx")
    like, slowed, seconds = [], [], []
    order = random.Random(0)
    print("| pair | compared | change of latency to baseline | p | sees | called | exit of check |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for pair in range(given.pairs):
        shares = {"first": 0.0, "second": 0.0, "slowed": given.share}
        names = order.sample(list(shares), 3)
        seconds += [run(out / f"{pair + 1}-{name}", model, given, shares[name]) for name in names]
        like.append(compared(out / f"{pair + 1}-first", out / f"{pair + 1}-second", given.alpha))
        slowed.append(compared(out / f"{pair + 1}-first", out / f"{pair + 1}-slowed", given.alpha))
        print(line(pair, "like with like", like[-1]))
        print(line(pair, f"like with {given.share:.0%} slower", slowed[-1]), flush=True)
    found = sum(o.found and o.change > 0 for o in slowed)
    print(f"\nFalse alarms at α = {given.alpha:.0%}: {sum(o.found for o in like)} of {len(like)};"
          f" check failed {sum(o.gate == 1 for o in like)}.")  # fmt: skip
    print(
        f"{given.share:.0%} slower, found: {found} of {len(slowed)}; check failed {sum(o.gate == 1 for o in slowed)}."
    )
    took = f"{max(seconds):.0f} s a run at most"
    print(f"{given.processes} processes, {given.budget_s:g} s of measuring, {took}; runs: {out}")


if __name__ == "__main__":
    main()
