"""Trained weights that ship inside of packages: found without importing the package, read without its code."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TYPES: Mapping[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "I64": np.int64}

Tensors = Mapping[str, NDArray[np.generic]]


class NotInstalled(Exception):
    """No package that ships these weights is installed."""


def find(places: Mapping[str, str]) -> Path:
    """The folder of the first package that is there. `places` maps packages to folders in them. Raises NotInstalled."""
    for package, folder in places.items():
        spec = importlib.util.find_spec(package)
        for location in spec.submodule_search_locations or () if spec is not None else ():
            if (path := Path(location) / folder).is_dir():
                return path
    raise NotInstalled(f"install one of: {', '.join(name.replace('_', '-') for name in places)}")


def read_tensors(path: Path) -> Tensors:
    """The arrays in a safetensors file: a length of 8 bytes, a JSON header of that length, the numbers."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            flat = np.frombuffer(data[start + begin : start + end], dtype=_TYPES[about["dtype"]])
            tensors[name] = flat.reshape(about["shape"])
    return tensors
