"""A user's own network and data through chains of real techniques: what each step promises holds in the final file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NETWORK = '''
import torch
from torch import nn

class Small(nn.Module):
    """Three convolutions, the second with a skip connection around it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.third = nn.Sequential(nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        x = self.first(x)
        x = x + self.second(x)
        return self.head(self.third(x).mean((2, 3)))

def make():
    torch.set_num_threads(1)
    return Small(), torch.zeros(1, 1, 12, 12)
'''


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """The network's file, and pictures of three kinds of stripes: across, down and slanting, with noise."""
    folder = tmp_path / "cwd"
    folder.mkdir(exist_ok=True)
    (folder / "small_net.py").write_text(NETWORK, encoding="utf-8")
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 600)
    row, column = np.mgrid[:12, :12]
    waves = np.stack([np.sin(row), np.sin(column), np.sin(row + column)])
    pictures = waves[labels] * draw.uniform(0.5, 1.5, (600, 1, 1)) + draw.normal(0, 0.6, (600, 12, 12))
    np.savez(folder / "stripes.npz", x=pictures[:, None].astype(np.float32), y=labels)
    return folder


def records(bench: Any, *recipes: str, backends: tuple[str, ...] = ("onnxruntime",), **more: str) -> dict[str, Any]:
    given = [word for recipe in recipes for word in ("--recipe", recipe)]
    given += [word for backend in backends for word in ("--backend", backend)]
    given += [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]
    done = bench("run", "--model", "small_net.py:make", "--data", "stripes.npz", "--json", "--processes", "1",
                 "--budget-s", "1", "--threads", "1", *given)  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {(r["recipe"], r["backend"]): r for r in json.loads(done.stdout)}


def test_a_chain_of_real_techniques_keeps_what_each_step_promised(bench: Any, workplace: Path) -> None:
    chain = (
        "fine-tune(epochs=6.0, learning_rate=0.01)+prune-channels(macs=0.5)+prune-magnitude(amount=0.5)"
        "+distill-soft(epochs=2.0)+qat-int8(epochs=2.0)"
    )
    found = records(bench, chain, backends=("onnxruntime", "openvino"))
    base = found["baseline", "onnxruntime"]
    for backend in ("onnxruntime", "openvino"):
        made = found[chain, backend]
        assert made["outcome"] == "measured", made["failure"]
        variant = made["variant"]
        assert variant["macs"] <= 0.52 * base["variant"]["macs"]
        assert variant["int8_macs_share"] > 0.99
        assert made["quality"]["value"] > 0.6  # chance is a third, and the network as given knows no better
        steps = {step["name"].partition("(")[0]: step for step in variant["lineage"]}
        assert steps["prune-channels"]["macs"] < steps["fine-tune"]["macs"]
        assert steps["fine-tune"]["accuracy"] > 0.6
        assert steps["qat-int8"]["accuracy_n"] > 0
    zeros = (
        1
        - found[chain, "onnxruntime"]["variant"]["nonzero_parameters"]
        / found[chain, "onnxruntime"]["variant"]["parameters"]
    )
    assert zeros > 0.4  # half of the weights, less biases and the like


def test_the_same_seed_makes_the_same_files_in_other_processes_with_another_cache(bench: Any, workplace: Path) -> None:
    recipe = "prune-channels(macs=0.5)+prune-scheduled(epochs=1.0)+distill-soft(epochs=1.0)"
    first = records(bench, recipe, backends=("torch",))
    other = bench("run", "--model", "small_net.py:make", "--data", "stripes.npz", "--json", "--processes", "1",
                  "--budget-s", "1", "--threads", "1", "--backend", "torch", "--recipe", recipe,
                  BENCH_CACHE=str(workplace / "other-cache"))  # fmt: skip
    second = {(r["recipe"], r["backend"]): r for r in json.loads(other.stdout)}
    for key, record in first.items():
        assert not second[key]["variant"]["cached"]
        assert record["variant"]["sha256"] == second[key]["variant"]["sha256"], key
