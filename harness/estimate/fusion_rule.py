"""What a fusion rule is: which operators of a graph a runtime runs inside another one's kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["fold", "sum", "activate", "chain", "absorb", "view", "gather", "merge"]
"""What becomes of the operators that a rule takes.

fold: arithmetic on constants that goes into the weights of the kernel before it, as often as it comes.
sum: the addition of another tensor in the kernel before it, once, and nothing is folded after it.
activate: an activation in the kernel before it, once, and nothing is fused after it.
chain: a step after the kernel before it, as often as it comes and in any order.
absorb: an operator in front of the kernel that reads it.
view: no kernel; the output is another view of the first input.
gather: no kernel; whoever makes the inputs writes them straight into the output.
merge: several operators that together are one kernel of the kind `becomes`.
"""

Condition = Literal[
    "constant operands", "constant vector", "same shape", "zero padding", "same precision", "order kept", "permuted",
    "broadcast", "along channels", "float", "int8", "-1 to 1", "several inputs", "input read twice",
]  # fmt: skip
"""What must hold besides the kinds.

constant operands: Everything else that it reads is constant.
constant vector: It reads one constant besides, with a single dimension above 1.
same shape: It reads one other run-time tensor, of the same shape, that exists before the kernel starts.
zero padding: It pads with zeros, and in space only.
same precision: It reads and writes the same precision.
order kept: It moves only dimensions of size 1.
permuted: Its output has the dimensions of its input in another order, and no shuffle is done on the way.
broadcast: It repeats dimensions of size 1.
along channels: Its inputs are run-time tensors made by kernels, read by nobody else, and joined in dimension 1.
float: The kernel computes in floating point.
int8: The kernel computes in 8-bit integers.
-1 to 1: It clips to that range.
several inputs: The merged kernel reads more than one run-time tensor; without it, one.
input read twice: Two of the merged operators read the kernel's input, as in x · sigmoid(x).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One thing that a runtime fuses.

    Attributes:
        name: Unique within the rules of a kernel family.
        takes: Kinds of operators that lose their own kernel; for `merge` empty.
        anchors: Kinds of kernels that take them in; empty for `view`, `gather` and `merge`.
        steps: Of `merge`: kinds of each operator, each reading one of those before; a step with "" may be missing.
        becomes: Of `merge`: the kind of the kernel.
        when: Conditions; all must hold.
        reason: Why the runtime does it.
        source: Where that can be read.
    """

    name: str
    action: Action
    reason: str
    source: str
    takes: frozenset[str] = frozenset()
    anchors: frozenset[str] = frozenset()
    steps: tuple[frozenset[str], ...] = ()
    becomes: str = ""
    when: tuple[Condition, ...] = ()
