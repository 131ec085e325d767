"""What this machine can do at best, and how much a piece of work asks of it."""

import os
import platform
import time

import torch
from torch.utils.flop_counter import FlopCounterMode


def operations(work):
    """Count the floating-point operations of the matrix products in a call."""
    added = {torch.ops.aten.addmm_: _added_in_place}  # which the counter does not know
    with FlopCounterMode(display=False, custom_mapping=added) as counter:
        work()
    return counter.get_total_flops()


def _added_in_place(_, left, right, out_shape=None, **kwargs):
    """Count a product that is added to what there is, by the shapes."""
    return 2 * left[0] * left[1] * right[1]


def matrix_products(size=2_048, lasting=2.0):
    """Return the floating-point operations a second of large products in float32."""
    left, right, out = (torch.randn(size, size) for _ in range(3))
    torch.mm(left, right, out=out)
    began, products = time.perf_counter(), 0
    while (gone := time.perf_counter() - began) < lasting:
        torch.mm(left, right, out=out)
        products += 1
    return 2 * size**3 * products / gone


def memory_bandwidth(elements=50_000_000, lasting=1.0):
    """Return the bytes a second that copying a large array reads and writes."""
    source, target = torch.ones(elements), torch.empty(elements)
    target.copy_(source)
    began, copies = time.perf_counter(), 0
    while (gone := time.perf_counter() - began) < lasting:
        target.copy_(source)
        copies += 1
    return 2 * 4 * elements * copies / gone


def described():
    """Say what machine and libraries these are."""
    from importlib.metadata import version

    libraries = ("torch", "transformers", "datasets", "tokenizers", "numpy", "pyarrow")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "matrix_products_gigaflop_per_s": round(matrix_products() / 1e9, 1),
        "memory_gigabyte_per_s": round(memory_bandwidth() / 1e9, 1),
        **{name: version(name) for name in libraries},
    }


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file of ours
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
