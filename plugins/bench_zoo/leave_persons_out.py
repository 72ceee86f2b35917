"""How far the accuracy of `zoo:har-watch` depends on who is tested: `python -m bench_zoo.leave_persons_out`.

Trains the shipped recipe ten times, each time testing three other persons (p, p+3, p+6), so that every person is
tested three times, and prints a Markdown table with the mean and spread.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bench_zoo.watch import FOLD, PERSONS, Recording, fold, partition, windows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn


def correct_by_person(
    network: nn.Module, members: Sequence[Recording], mean: NDArray[Any], std: NDArray[Any]
) -> Mapping[int, tuple[int, int]]:
    """Person to (windows classified correctly, windows)."""
    import torch

    x, exercises, persons = windows(members, mean, std)
    with torch.no_grad():
        right = network(torch.from_numpy(x)).argmax(dim=1).numpy() == exercises
    return {int(p): (int(right[persons == p].sum()), int((persons == p).sum())) for p in sorted(set(persons.tolist()))}


def main() -> None:
    """Run the ten folds and write the tables to standard output."""
    from bench_zoo.watch_training import train

    write = sys.stdout.write
    write("| test persons | validation | test windows | test top-1 | validation top-1 |\n|---|---|---|---|---|\n")
    folds: list[float] = []
    persons: defaultdict[int, list[float]] = defaultdict(list)
    for first in range(1, PERSONS + 1):
        who = fold(first)
        splits = partition(who)
        network, mean, std = train(splits["train"])
        tested = correct_by_person(network, splits["test"], mean, std)
        for person, (right, n) in tested.items():
            persons[person].append(right / n)
        right, n = (sum(column) for column in zip(*tested.values(), strict=True))
        ((seen, of),) = correct_by_person(network, splits["validation"], mean, std).values()
        folds.append(right / n)
        names = ", ".join(map(str, who.test)) + (" (shipped)" if who == FOLD else "")
        write(f"| {names} | {who.validation[0]} | {n} | {right / n:.1%} | {seen / of:.1%} |\n")
        sys.stdout.flush()
    write(f"\nTen folds: mean {statistics.mean(folds):.1%}, standard deviation {100 * statistics.stdev(folds):.1f} ")
    write(f"points, lowest {min(folds):.1%}, highest {max(folds):.1%}.\n\n")
    write("| person | mean of three folds |\n|---|---|\n")
    for person, values in sorted(persons.items()):
        write(f"| {person} | {statistics.mean(values):.1%} |\n")
    means = [statistics.mean(values) for values in persons.values()]
    write(f"\nTen persons: mean {statistics.mean(means):.1%}, ")
    write(f"standard deviation {100 * statistics.stdev(means):.1f} points.\n")


if __name__ == "__main__":
    main()
