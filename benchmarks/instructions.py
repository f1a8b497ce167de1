"""Instructions that this thread has executed, where the kernel and the processor count them."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_CALL = {"x86_64": 298, "aarch64": 241}
_HARDWARE, _INSTRUCTIONS = 0, 1
_EXCLUDE_KERNEL_AND_HYPERVISOR = 1 << 5 | 1 << 6
_SIZE = 64
"""Of the first version of `struct perf_event_attr`, which every kernel takes."""


class Counter:
    """perf_event_open of this thread; reads 0 where that is not to be had."""

    def __init__(self, kind: int = _HARDWARE, config: int = _INSTRUCTIONS) -> None:
        self._file = -1
        call = _CALL.get(platform.machine())
        if call is None or platform.system() != "Linux":
            return
        fields = struct.pack("IIQQQQQ", kind, _SIZE, config, 0, 0, 0, _EXCLUDE_KERNEL_AND_HYPERVISOR)
        attributes = ctypes.create_string_buffer(fields.ljust(_SIZE, b"\0"), _SIZE)
        self._file = ctypes.CDLL(None, use_errno=True).syscall(call, attributes, 0, -1, -1, 0)

    @property
    def there(self) -> bool:
        return self._file >= 0

    def read(self) -> int:
        """So many since the counter was opened."""
        return int.from_bytes(os.read(self._file, 8), "little") if self.there else 0
