"""Describes hooks and public types from their source: signatures, docstrings, attributes, as Markdown."""  # noqa: INP001

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import harness
from harness import hookspecs
from harness.loading import YIELDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Table = Callable[[Sequence[str], list[Sequence[str]]], str]

SECTION = re.compile(r"^(Attributes|Args|Returns|Yields|Raises):\n", re.MULTILINE)

WORD = re.compile(r"\b[A-Z]\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """A docstring in parts.

    Attributes:
        text: What stands before the first section.
        attributes: What the section `Attributes:` says, by name.
        rest: Other sections with their lines.
    """

    text: str
    attributes: dict[str, str] = field(default_factory=dict)
    rest: tuple[tuple[str, str], ...] = ()


def hooks() -> str:
    """Every hook with its signature and docstring."""
    parts = []
    for name, kind in YIELDS.items():
        hook = getattr(hookspecs, name)
        yields = f"Yields [`{kind.__name__}`](#{kind.__name__.lower()})." if kind.__name__ in harness.__all__ else ""
        text = "\n\n".join(filter(None, (doc_of(hook).text, yields)))
        parts.append(f"### {name}\n\n{_code(f'{name}{_signature(hook)}')}\n\n{text}")
    return "\n\n".join(parts)


def contributions(table: Table) -> str:
    """What hooks yield, in the order of the hooks."""
    return _entries([kind.__name__ for kind in YIELDS.values() if kind.__name__ in harness.__all__], table)


def others(table: Table) -> str:
    """The other public names."""
    yielded = {kind.__name__ for kind in YIELDS.values()}
    return _entries([name for name in harness.__all__ if name not in yielded], table)


def inner(table: Table) -> str:
    """Types that public ones have for attributes, and that a plugin reads without naming them."""
    known = {name: getattr(harness, name) for name in harness.__all__}
    waiting = [kind for kind in known.values() if inspect.isclass(kind)]
    found: dict[str, Any] = {}
    while waiting:
        for name, kind in _named_by(waiting.pop()).items():
            if name not in known and name not in found:
                found[name] = kind
                waiting.append(kind)
    return "\n\n".join(_entry(name, kind, table) for name, kind in sorted(found.items()))


def doc_of(value: Any) -> Doc:
    """The docstring of a class or function, in parts."""
    text = inspect.cleandoc(value.__doc__ or "")
    before, *sections = SECTION.split(text)
    pairs = list(zip(sections[::2], (textwrap.dedent(body) for body in sections[1::2]), strict=True))
    attributes = {}
    for heading, body in pairs:
        if heading == "Attributes":
            for names, meaning in _lines(body):
                attributes |= dict.fromkeys(names.split(", "), meaning)
    rest = tuple((heading, body.strip()) for heading, body in pairs if heading != "Attributes")
    return Doc(text=before.strip(), attributes=attributes, rest=rest)


def _entries(names: Sequence[str], table: Table) -> str:
    return "\n\n".join(_entry(name, getattr(harness, name), table) for name in names)


def _entry(name: str, value: Any, table: Table) -> str:
    parts = [f"### {name}"]
    if inspect.isclass(value):
        parts += _class(value, table)
    elif inspect.isroutine(value):
        doc = doc_of(value)
        parts += [_code(f"{name}{_signature(value)}"), doc.text, *_rest(doc)]
    elif name == "hookimpl":
        parts.append("Marks a module-level function of a plugin as the implementation of the hook of that name.")
    else:
        parts += [_code(f"{name} = {value!r}"), _said_below(name)]
    return "\n\n".join(filter(None, parts))


def _class(kind: type, table: Table) -> Iterator[str]:
    """A class by its docstring, its attributes and its public methods."""
    doc = doc_of(kind)
    bases = [base.__name__ for base in kind.__bases__ if issubclass(base, Exception)]
    yield f"An exception, a `{bases[0]}`." if bases else ""
    yield doc.text
    body = _source(kind).body
    rows = [
        (
            f"`{node.target.id}`",
            f"`{ast.unparse(node.annotation)}`",
            _default(node),
            doc.attributes.get(node.target.id, ""),
        )
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    public = [n for n in body if isinstance(n, ast.FunctionDef) and (not n.name.startswith("_") or _asks(n))]
    properties = [n for n in public if any(getattr(d, "id", "") == "property" for d in n.decorator_list)]
    rows += [(f"`{n.name}`", f"`{ast.unparse(n.returns)}`" if n.returns else "", "", _first(n)) for n in properties]
    if rows:
        yield table(("attribute", "type", "default", "what it is"), rows)
    yield from _rest(doc)
    methods = [n for n in public if n not in properties and n.name != "__init__"]
    if methods:
        lines = [(f"`{n.name}({_arguments(n)}){_returns(n)}`", _first(n)) for n in methods]
        yield table(("method", "what it does"), lines)


def _asks(node: ast.FunctionDef) -> bool:
    return node.name == "__len__"


def _rest(doc: Doc) -> Iterator[str]:
    for heading, body in doc.rest:
        lines = [f"- `{name}`: {meaning}" for name, meaning in _lines(body)] or [" ".join(body.split())]
        yield f"{heading}:\n\n" + "\n".join(lines)


def _lines(body: str) -> Iterator[tuple[str, str]]:
    """`name: meaning` of each entry of a section, lines of one joined."""
    for entry in re.split(r"\n(?=\S)", body.strip()):
        name, colon, meaning = entry.partition(": ")
        if colon:
            yield name, " ".join(meaning.split())


def _default(node: ast.AnnAssign) -> str:
    return f"`{ast.unparse(node.value)}`" if node.value is not None else ""


def _first(node: ast.FunctionDef) -> str:
    return " ".join((ast.get_docstring(node) or "").split())


def _arguments(node: ast.FunctionDef) -> str:
    return ast.unparse(node.args).removeprefix("self").removeprefix(", ")


def _returns(node: ast.FunctionDef) -> str:
    return f" -> {ast.unparse(node.returns)}" if node.returns else ""


def _signature(function: Any) -> str:
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    return f"({_arguments(node)}){_returns(node)}"


def _code(text: str) -> str:
    return f"```text\n{text}\n```"


@cache
def _source(kind: type) -> ast.ClassDef:
    node = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(node, ast.ClassDef)
    return node


def _said_below(name: str) -> str:
    """The text that stands below a constant in `harness/__init__.py`."""
    body = ast.parse(inspect.getsource(harness)).body
    for node, after in pairwise(body):
        named = isinstance(node, ast.Assign) and any(getattr(target, "id", "") == name for target in node.targets)
        if named and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return inspect.cleandoc(str(after.value.value))
    return ""


def _named_by(kind: type) -> dict[str, Any]:
    """Dataclasses of the host that the annotations of a class name."""
    annotations = [ast.unparse(n.annotation) for n in _source(kind).body if isinstance(n, ast.AnnAssign)]
    names = {word for annotation in annotations for word in WORD.findall(annotation)}
    module = inspect.getmodule(kind)
    homes = {module.__name__: module} if module else {}
    found = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))) if module else ():
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness"):
            for alias in node.names:
                if alias.name in names:
                    homes[node.module or ""] = import_module(node.module or "")
    for home in homes.values():
        for name in names:
            value = getattr(home, name, None)
            if inspect.isclass(value) and hasattr(value, "__dataclass_fields__"):
                found[name] = value
    return found
