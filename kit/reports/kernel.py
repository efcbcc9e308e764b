"""The kernel a report runs its notebooks in: in its own interpreter, and never without it."""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

# ipykernel asks once a second who its parent is, and takes an orphan that a subreaper adopted
# before the first question for a child. Here a read ends the moment nobody can write any more,
# and what the kernel has started (loader processes, say) ends with it.
LAUNCH = """import os, runpy, signal, threading
end_with_worker = lambda: (os.read({descriptor}, 1), os.killpg(0, signal.SIGKILL))
threading.Thread(target=end_with_worker, daemon=True).start()
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)"""


class SameInterpreter(AsyncKernelManager):
    """Starts ipykernel in `sys.executable`; it ends when this process does, however that ends.

    The name "python3" alone may lead to another environment's kernel, installed for the user or the
    machine; with no folder to search, jupyter_client falls back to its own interpreter.
    """

    @default("kernel_spec_manager")
    def _only_the_native_kernel(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])

    @default("transport_encryption")
    def _encrypted_where_possible(self) -> str:
        return "auto"  # without it each kernel prints a warning about plain TCP into its notebook

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start it with the reading end of a pipe; the writing end stays here alone."""
        reading, self._writing = multiprocessing.Pipe(duplex=False)
        with reading:
            launch = LAUNCH.format(descriptor=reading.fileno())
            command = [sys.executable, "-c", launch, "-f", "{connection_file}"]
            self.kernel_spec.argv = command  # type: ignore[union-attr]
            await super().start_kernel(pass_fds=(reading.fileno(),), **options)
