"""An IR file as layers, edges and stored constants: the XML parsed, the weights mapped and read only where needed.

Source of the format: "Operation Sets in OpenVINO" and "Intermediate Representation" in OpenVINO's documentation:
`<layers>` with ports and `<data>` attributes, `<edges>`, and constants as offsets into the .bin beside the .xml.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from harness import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

HINT = "Save the model again with openvino.save_model; the .bin belongs beside the .xml."

PRECISIONS: Mapping[str, str] = {
    "f64": "fp64", "fp64": "fp64", "f32": "fp32", "fp32": "fp32", "f16": "fp16", "fp16": "fp16", "bf16": "bf16",
    "i64": "int64", "u64": "int64", "i32": "int32", "u32": "int32", "i16": "int16", "u16": "int16",
    "i8": "int8", "u8": "uint8", "i4": "int4", "u4": "int4", "u2": "int4", "u1": "int4", "nf4": "int4",
    "bin": "int4", "boolean": "bool", "bool": "bool",
    # not numbers that any kernel here computes with; each by its size in memory
    "u3": "int4", "u6": "uint8", "f4e2m1": "int4", "f8e4m3": "uint8", "f8e5m2": "uint8", "f8e8m0": "uint8",
    "string": "int64",
}  # fmt: skip
"""Element types of IR by the precisions of graphs; types of fewer than four bits by the smallest that there is."""

_DTYPES = {"f64": "<f8", "f32": "<f4", "f16": "<f2", "i64": "<i8", "u64": "<u8", "i32": "<i4", "u32": "<u4",
           "i16": "<i2", "u16": "<u2", "i8": "<i1", "u8": "<u1", "boolean": "<u1"}  # fmt: skip

_PARTS = frozenset({"data", "input", "output", "rt_info"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; `outputs` are precision and shape of its ports, a dimension that is open is -1.

    Attributes:
        sources: Layer and port that each input comes from.
        inside: The bodies of a loop or a branch, as text.
    """

    id: str
    name: str
    type: str
    opset: str
    attributes: Mapping[str, str]
    sources: tuple[tuple[str, int], ...]
    outputs: tuple[tuple[str, tuple[int, ...]], ...]
    inside: str = ""


class Store:
    """The .bin file, mapped when first needed."""

    def __init__(self, path: Path) -> None:
        """Remember the path."""
        self.path = path
        self._mapped: NDArray[np.uint8] | None = None

    @property
    def mapped(self) -> NDArray[np.uint8]:
        """All bytes."""
        import numpy as np

        if self._mapped is None:
            if not self.path.is_file():
                raise ArtifactError(f"no weights at {self.path}", hint=HINT)
            filled = self.path.stat().st_size > 0
            self._mapped = np.memmap(self.path, np.uint8, mode="r") if filled else np.zeros(0, np.uint8)
        return self._mapped

    def bytes_of(self, layer: Layer) -> NDArray[np.uint8]:
        """Bytes of a Const layer."""
        offset, size = int(layer.attributes["offset"]), int(layer.attributes["size"])
        if offset < 0 or size < 0 or offset + size > len(self.mapped):
            raise ArtifactError(
                f"{self.path}: holds {len(self.mapped)} bytes, but {layer.name!r} is at {offset} to {offset + size}",
                hint=HINT,
            )
        return self.mapped[offset : offset + size]

    def values_of(self, layer: Layer) -> NDArray[np.generic] | None:
        """Elements of a Const layer, those of 4 bits one a byte; None for a type that numpy cannot read."""
        import numpy as np

        element = layer.attributes.get("element_type", "")
        content = self.bytes_of(layer)
        if element in _DTYPES:
            dtype = np.dtype(_DTYPES[element])
            return content.view(dtype) if len(content) % dtype.itemsize == 0 else None
        if element in {"i4", "u4"}:  # the lower half of a byte comes first
            halves = np.stack([content & 15, content >> 4], axis=-1).reshape(-1)
            return halves if element == "u4" else ((halves ^ 8).astype(np.int8) - 8)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class IrFile:
    """A parsed file; layers in execution order, `where` gives the position of an id.

    Attributes:
        runtime_options: Properties that the file asks the runtime to compile it with.
    """

    name: str
    layers: tuple[Layer, ...]
    where: Mapping[str, int]
    store: Store
    runtime_options: Mapping[str, str]


def load(path: Path) -> IrFile:
    """Parse an IR: a folder with model.xml, or an .xml file.

    Raises:
        ArtifactError: The file is missing or not an IR, or an edge or its weights lead nowhere.
    """
    file = path / "model.xml" if path.is_dir() else path
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - expat expands no external entities, and limits internal ones
    except OSError as error:
        raise ArtifactError(
            f"no model at {file} ({error.strerror})", hint="An openvino-ir is a folder with model.xml and model.bin."
        ) from error
    except (ET.ParseError, ValueError, LookupError) as error:
        raise ArtifactError(f"{file}: not XML, or a damaged file ({error})", hint=HINT) from error
    try:
        layers = _layers(root, file)
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ArtifactError(f"{file}: not an IR of OpenVINO, or a damaged one ({error!r})", hint=HINT) from error
    return IrFile(
        name=root.get("name") or file.stem,
        layers=layers,
        where={layer.id: index for index, layer in enumerate(layers)},
        store=Store(file.with_suffix(".bin")),
        runtime_options={e.tag: e.get("value", "") for e in root.iterfind("rt_info/runtime_options/*")},
    )


def _layers(root: ET.Element, file: Path) -> tuple[Layer, ...]:
    listed = root.find("layers")
    if root.tag != "net" or listed is None or len(listed) == 0:
        raise ArtifactError(f"{file}: holds no <net> with <layers>", hint=HINT)
    if int(root.get("version", "0")) < 10:
        raise ArtifactError(f"{file}: IR version {root.get('version')} is older than 10", hint=HINT)
    ports: dict[tuple[str, str], int] = {}
    for element in listed:
        for index, port in enumerate(_ports(element, "output")):
            ports[element.attrib["id"], port.attrib["id"]] = index
    arriving: dict[tuple[str, str], tuple[str, int]] = {}
    for edge in root.iterfind("edges/edge"):
        given = edge.attrib
        source = (given["from-layer"], given["from-port"])
        if source not in ports:
            raise ArtifactError(f"{file}: an edge leaves port {source[1]} of layer {source[0]}, not there", hint=HINT)
        arriving[given["to-layer"], given["to-port"]] = (source[0], ports[source])
    return _in_order([_layer(element, arriving, file) for element in listed], file)


def _layer(element: ET.Element, arriving: Mapping[tuple[str, str], tuple[str, int]], file: Path) -> Layer:
    given = element.attrib
    data = element.find("data")
    sources = []
    for port in _ports(element, "input"):
        at = (given["id"], port.attrib["id"])
        if at not in arriving:
            raise ArtifactError(f"{file}: nothing reaches port {at[1]} of {given['name']!r}", hint=HINT)
        sources.append(arriving[at])
    outputs = []
    for port in _ports(element, "output"):
        dims = tuple(int(dim.text or "") for dim in port.iterfind("dim"))
        precision = PRECISIONS.get(port.get("precision", "f32").lower(), "fp32")
        outputs.append((precision, tuple(dim if dim >= 0 else -1 for dim in dims)))
    return Layer(
        id=given["id"],
        name=given.get("name") or given["id"],
        type=given["type"],
        opset=given.get("version", ""),
        attributes={} if data is None else dict(data.attrib),
        sources=tuple(sources),
        outputs=tuple(outputs),
        inside="".join(ET.tostring(child, encoding="unicode") for child in element if child.tag not in _PARTS),
    )


def _ports(element: ET.Element, side: str) -> Iterable[ET.Element]:
    found = element.find(side)
    return () if found is None else found


def _in_order(layers: list[Layer], file: Path) -> tuple[Layer, ...]:
    """Layers so that each comes after what it reads; OpenVINO writes them so, other tools may not."""
    from graphlib import CycleError, TopologicalSorter

    seen: set[str] = set()
    sorted_already = True
    for layer in layers:
        sorted_already = sorted_already and all(source in seen for source, _ in layer.sources)
        seen.add(layer.id)
    if sorted_already:
        return tuple(layers)
    named = {layer.id: layer for layer in layers}
    try:
        order = TopologicalSorter({each.id: [s for s, _ in each.sources] for each in layers}).static_order()
        return tuple(named[identity] for identity in order)
    except CycleError as error:
        raise ArtifactError(f"{file}: the layers read each other in a circle", hint=HINT) from error
