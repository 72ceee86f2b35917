"""Tries every extra on its own, as its user has it: a fresh environment, the wheel with that extra, the command line.

    python tests/extras/extras.py [EXTRA ...]

The files that the small environments open are made once in the environment that runs this, which needs
`edge-bench[all]`. Ends with a table, and with 1 when anything failed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tabulate import tabulate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

FACTORY, ONNX, TFLITE, ROWS = "net.py:make", "net.onnx", "net.tflite", "rows.npz"

SIMULATED = frozenset({"edgetpu"})
"""Backends that time nothing: an accelerator that is not here."""


class ExtraError(Exception):
    """What an extra does not do."""


@dataclass(frozen=True)
class Place:
    """An environment with an extra, and the folder with the files that it is tried on."""

    folder: Path
    files: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def bench(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return said([self.folder / "bin" / "bench", *arguments], self.files, self.folder / "cache")

    def run(self, *arguments: str) -> list[dict]:
        """The records of a short run."""
        out = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder)) / "run"
        short = ("--profile", "rpi4", "--budget-s", "2", "--processes", "1", "--out", str(out))
        done = self.bench("run", *arguments, *short)
        if not (out / "records.jsonl").is_file():
            raise ExtraError(f"bench run {' '.join(arguments)}: {last(done)}")
        return [json.loads(line) for line in (out / "records.jsonl").read_text(encoding="utf-8").splitlines()]

    def ready(self) -> list[str]:
        """Backends that are ready; each of the others must say why not and what brings it."""
        plugins = json.loads(self.bench("plugins", "--json").stdout)["plugins"]
        broken = [each["plugin"] for each in plugins if each["status"] not in {"ready", "unavailable"}]
        if broken:
            raise ExtraError(f"plugins that are broken: {', '.join(broken)}")
        found = [c for plugin in plugins for c in plugin["contributions"] if c["kind"] == "backend"]
        for each in found:
            if not each["available"] and not (each["reason"] and "pip install" in each["install"]):
                raise ExtraError(f"{each['name']} is not available and does not say why, or what to do")
        return sorted(each["name"] for each in found if each["available"] and each["name"] not in SIMULATED)


@dataclass(frozen=True)
class Trial:
    """Extras that are installed together, and what must work then."""

    extras: str
    does: Callable[[Place], str]


def said(command: Sequence[object], cwd: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Run a command without what this process has of a Python environment of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}}
    env = {**kept, "BENCH_CACHE": str(cache), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, check=False)


def must(command: Sequence[object], cwd: Path) -> str:
    done = said(command, cwd, cwd)
    if done.returncode:
        raise ExtraError(f"{' '.join(map(str, command[1:4]))} …: {last(done)}")
    return done.stdout


def last(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a command said."""
    return " ".join((done.stdout + done.stderr).split())[-400:]


def runs(*backends: str, model: str, recipes: Sequence[str] = ("baseline",)) -> Callable[[Place], str]:
    """These backends are ready, and a network runs in them and in every other one that is ready."""
    asked = [word for recipe in recipes for word in ("--recipe", recipe)]
    data = () if "baseline" in recipes else ("--data", ROWS)

    def does(place: Place) -> str:
        ready = place.ready()
        if missing := set(backends) - set(ready):
            raise ExtraError(f"not ready: {', '.join(sorted(missing))}")
        for backend in ready:
            rows = place.run("--model", model, *asked, *data, "--backend", backend)
            must_be_measured(rows, [backend])
        return f"{model}, {', '.join(recipes)}: measured in {', '.join(ready)}"

    return does


def must_be_measured(rows: Sequence[dict], backends: Sequence[str]) -> None:
    """Every row has figures, and every backend has a row."""
    for row in rows:
        if row["outcome"] != "measured" or not row["measurement"]["latency_ns"]:
            raise ExtraError(f"{row['recipe']} in {row['backend']}: {row['outcome']}: {row['failure']}")
    if absent := set(backends) - {row["backend"] for row in rows}:
        raise ExtraError(f"no row: {', '.join(sorted(absent))}")


def refuses(*arguments: str, hint: str) -> Callable[[Place], str]:
    """No backend is ready, and a run says what else to install."""

    def does(place: Place) -> str:
        if ready := place.ready():
            raise ExtraError(f"ready all the same: {', '.join(ready)}")
        done = place.bench("run", *arguments, "--profile", "rpi4")
        words = done.stdout + done.stderr
        if done.returncode == 0 or "Traceback" in words or hint not in " ".join(words.split()):
            raise ExtraError(f"bench run {' '.join(arguments)} does not say {hint!r}: {last(done)}")
        return f"alone refused: {hint}"

    return does


def estimates(place: Place) -> str:
    done = place.bench("estimate", ONNX, "--profile", "rpi4", "--json")
    if done.returncode or "latency_ms" not in done.stdout:
        raise ExtraError(f"bench estimate: {last(done)}")
    return f"bench estimate {ONNX}"


def reports(place: Place) -> str:
    copy = shutil.copytree(place.files / "run", place.folder / "run")
    for command in (("report", str(copy)), ("history", str(copy), "--sql", "select count(*) from records")):
        done = place.bench(*command)
        if done.returncode:
            raise ExtraError(f"bench {command[0]}: {last(done)}")
    done = place.bench("export", str(copy), "--format", "pyperf", "--out", str(place.folder / "run.json"))
    if done.returncode:
        raise ExtraError(f"bench export: {last(done)}")
    if "vegaEmbed" not in (copy / "report.html").read_text(encoding="utf-8"):
        raise ExtraError("report.html has no chart that answers")
    return "bench report with its chart, history --sql, export"


def together(place: Place) -> str:
    """Every backend is ready in one environment, and they run one network side by side."""
    ready = place.ready()
    plugins = json.loads(place.bench("plugins", "--json").stdout)["plugins"]
    absent = [c["name"] for p in plugins for c in p["contributions"] if c["kind"] != "meter" and not c["available"]]
    if absent:
        raise ExtraError(f"not available with everything installed: {', '.join(absent)}")
    options = [word for name in ready for word in ("--backend", name)]
    rows = place.run("--model", FACTORY, "--recipe", "baseline", *options)
    must_be_measured(rows, ready)
    return f"side by side: {', '.join(ready)}"


TRIALS = (
    Trial("", refuses("--model", ONNX, hint="pip install")),
    Trial("tract", runs("tract", model=ONNX)),
    Trial("onnxruntime", runs("onnxruntime", model=ONNX)),
    Trial("openvino", runs("openvino", model=ONNX)),
    Trial("litert", runs("litert", model=TFLITE)),
    Trial("estimate", estimates),
    Trial("report", reports),
    Trial("zoo", runs("torch", model="zoo:har-watch")),
    Trial("compress", runs("torch", model=FACTORY, recipes=("low-rank-tucker(epochs=1)", "prune-channels(macs=0.5)"))),
    Trial("torch", runs("torch", model=FACTORY)),
    Trial("litert-convert", runs("litert", "torch", model=FACTORY)),
    Trial("executorch", runs("executorch", "torch", model=FACTORY)),
    Trial("all,test", together),
)


def untried() -> set[str]:
    """Extras of pyproject.toml that nobody has said how to try."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["optional-dependencies"]) - {extra for trial in TRIALS for extra in trial.extras.split(",")}


def make_files(folder: Path) -> None:
    """The network in the formats that are opened without another runtime, labelled rows, and a run folder."""
    shutil.copy(HERE / "net.py", folder)
    draw, labels = np.random.default_rng(0), np.arange(64) % 4
    pictures = draw.standard_normal((64, 3, 16, 16)) + labels[:, None, None, None]
    np.savez(folder / ROWS, x=pictures.astype(np.float32), y=labels)
    command = ("--model", FACTORY, "--recipe", "baseline", "--backend", "onnxruntime", "--backend", "litert")
    out, cache = folder / "run", folder / "made"
    short = ("--profile", "rpi4", "--budget-s", "2", "--processes", "1", "--out", out)
    done = said([Path(sys.prefix) / "bin" / "bench", "run", *command, *short], folder, cache)
    for suffix in ("onnx", "tflite"):
        found = sorted(cache.rglob(f"*.{suffix}"))
        if not found:
            raise ExtraError(f"no .{suffix} file was made: {last(done)}")
        shutil.copy(found[0], folder / f"net.{suffix}")


def size_mb(folder: Path) -> int:
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink()) / 1e6)


def versions(place: Place) -> Iterator[str]:
    """What of an environment is worth knowing: which PyTorch pip took."""
    code = "import torch; print(torch.__version__, torch.version.cuda)"
    done = said([place.python, "-c", code], place.files, place.folder)
    if done.returncode == 0:
        version, cuda = done.stdout.split()
        yield f"torch {version}" if cuda == "None" else f"torch {version} with CUDA {cuda}, which nothing here uses"


def attempt(trial: Trial, wheel: Path, files: Path) -> tuple[object, ...]:
    """One row of the table."""
    print(f"{trial.extras or '(none)'} …", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-extra-") as scratch:
        place = Place(Path(scratch) / "venv", files)
        venv.create(place.folder, with_pip=True)
        empty_mb, begin = size_mb(place.folder), time.monotonic()
        size = installed = 0
        try:
            wanted = f"edge-bench[{trial.extras}] @ {wheel.as_uri()}"
            must([place.python, "-m", "pip", "install", "--quiet", wanted], files)
            installed, size = round(time.monotonic() - begin), size_mb(place.folder) - empty_mb
            must([place.python, "-m", "pip", "check"], files)
            begin = time.monotonic()
            text, verdict = "; ".join([trial.does(place), *versions(place)]), "ok"
        except ExtraError as error:
            text, verdict = str(error), "FAILED"
        return trial.extras or "(none)", size, installed, round(time.monotonic() - begin), verdict, text


def main(chosen: Sequence[str]) -> int:
    """Try all extras, or those with these names."""
    if left := untried():
        print(f"Not tried, and so not known to work: {', '.join(sorted(left))}. Say how in TRIALS.")
        return 1
    trials = [trial for trial in TRIALS if not chosen or trial.extras in chosen]
    if unknown := set(chosen) - {trial.extras for trial in trials}:
        print(f"No such trial: {', '.join(unknown)}. There are {', '.join(t.extras for t in TRIALS if t.extras)}.")
        return 1
    with tempfile.TemporaryDirectory(prefix="bench-extras-") as scratch:
        files = Path(scratch)
        make_files(files)
        must([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", files, ROOT], files)
        (wheel,) = files.glob("*.whl")
        rows = [attempt(trial, wheel, files) for trial in trials]
    heads = ("extra", "MB", "install s", "try s", "", "what was tried")
    print(tabulate(rows, heads, maxcolwidths=[None, None, None, None, None, 90]))
    return int(any("FAILED" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
