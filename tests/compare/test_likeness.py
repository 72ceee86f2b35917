"""Which runs are refused, what is told all the same, and what may be allowed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.compare.comparison import compare
from harness.compare.likeness import find_unlike, remarks
from harness.environment import machine_identity
from harness.errors import UsageError


def environments(make, **changes):
    return make["run"]("a", make["record"]()), make["run"]("b", make["record"](), **changes)


@pytest.mark.parametrize(
    ("changes", "aspect", "said"),
    [
        ({"cpu": "Cortex-A76"}, "machine", "processor: Cortex-A72 and Cortex-A76"),
        ({"isa": "x86_64"}, "machine", "instruction set"),
        ({"cores": 8}, "machine", "cores: 4 and 8"),
        ({"memory_bytes": 8_000_000_000}, "machine", "memory in bytes"),
        ({"os": "Linux 5.10.0"}, "machine", "system: Linux 6 and Linux 5"),
        ({"machine": "ba9876543210"}, "identity", "identity of the machine"),
        ({"bench": "0.2.0"}, "bench", "version of bench: 0.1.0 and 0.2.0"),
    ],
)
def test_another_machine_or_bench_is_refused_by_its_name(make, changes, aspect, said):
    before, after = environments(make, **changes)
    with pytest.raises(UsageError, match="the runs are unlike") as caught:
        compare(before, after, 0.05)
    assert said in caught.value.message
    assert f"--allow-unlike {aspect}" in caught.value.hint
    assert [str(found) for found in compare(before, after, 0.05, [aspect]).unlike]


@pytest.mark.parametrize("changes", [{"os": "Linux 6.9.0"}, {"memory_bytes": 3_990_000_000}, {"load_average": 0.3}])
def test_what_changes_on_one_machine_is_not_refused(make, changes):
    assert find_unlike(*environments(make, **changes)) == ()


def test_other_threads_are_refused(make):
    other = replace(make["measurement"](seed=1), threads=1)
    found = find_unlike(make["run"]("a", make["record"]()), make["run"]("b", make["record"](measurement=other)))
    assert [u.aspect for u in found] == ["threads"]


def test_another_seed_is_refused(make):
    found = find_unlike(make["run"]("a", make["record"]()), make["run"]("b", make["record"](), plan={"seed": 1}))
    assert [str(u) for u in found] == ["seed: 0 and 1"]


@pytest.mark.parametrize("changes", [{"data": "other rows"}, {"n": 500}])
def test_other_data_is_refused(make, changes):
    other = make["record"](quality=make["quality"](**changes))
    found = find_unlike(make["run"]("a", make["record"]()), make["run"]("b", other))
    assert [u.aspect for u in found] == ["data"]


def test_a_run_without_environment_is_refused(make):
    bare = replace(make["run"]("a", make["record"]()), environment={})
    assert "machine" in {u.aspect for u in find_unlike(bare, make["run"]("b", make["record"]()))}
    assert "machine" in {u.aspect for u in find_unlike(bare, bare)}


def test_machine_allows_another_identity_and_nothing_else(make):
    before, after = environments(make, cpu="another", machine="ba9876543210")
    assert len(compare(before, after, 0.05, ["machine"]).unlike) == 2
    with pytest.raises(UsageError, match="processor"):
        compare(before, after, 0.05, ["identity", "threads"])


def test_an_aspect_that_does_not_exist_is_named(make):
    with pytest.raises(UsageError, match="no aspect 'cpu'") as caught:
        compare(*environments(make), 0.05, ["cpu"])
    assert "identity" in caught.value.hint


def test_another_version_of_a_runtime_is_told_and_not_refused(make):
    before, after = make["run"]("a", make["record"]()), make["run"]("b", make["record"](), versions={"runtime": "2.0"})
    assert find_unlike(before, after) == ()
    assert "runtime 1.0 before, 1.0 or 2.0 after" in remarks(before, after)


def test_a_missing_identity_and_a_busy_machine_are_told(make):
    told = "\n".join(remarks(*environments(make, machine="", load_average=3.0)))
    assert "does not say which machine" in told
    assert "load of 3 on 4 cores" in told


def test_the_identity_of_a_machine_is_a_keyed_hash_of_it(tmp_path):
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    identity = machine_identity(file)
    assert len(identity) == 12
    assert identity not in file.read_text(encoding="ascii")
    file.write_text("f123456789abcdef0123456789abcdef\n", encoding="ascii")
    assert machine_identity(file) != identity


@pytest.mark.parametrize("content", [None, b"", b"uninitialized\n", b"\xff" * 32])
def test_a_container_without_identity_has_none(tmp_path, content):
    file = tmp_path / "machine-id"
    if content is not None:
        file.write_bytes(content)
    assert machine_identity(file) == ""
